"""What a builder says when the tables or its settings cannot be used: one plain sentence per problem."""


class BadInput(Exception):
    """Input that must be mended by the user; the command line prints it and exits with code 2.

    Args:
        problems: one or more plain sentences, each saying what was found, where, and what to do. They name files,
            rows and variables, never a patient's value.
    """

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))
