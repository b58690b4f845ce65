"""Writes plink2_components.json: what plink2 --pca finds, printed to six digits, without variants that miss a genotype.

    PSYSTRATA_DATA=... python -m tests.models.golden.make_plink2_components

`planted` are simulated genotypes (tests/models/planted_ancestry.py, the arguments are in the file); `cineca` is the public
synthetic subset on ids of the 1000 Genomes project. Of the eigenvectors, those of the first people are kept.
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from tests.models.planted_ancestry import planted, write_plink

PLANTED = {"people": 400, "variants": 1500, "populations": 4, "fst": 0.02, "missing": 0.0, "seed": 8}
KEPT = 20


def components(prefix: Path, folder: Path) -> dict[str, object]:
    """Run plink2 --pca and return eigenvalues and the first people's eigenvectors."""
    asked = [
        "--bfile",
        str(prefix),
        "--geno",
        "0",
        "--pca",
        "5",
        "--threads",
        "1",
        "--out",
        str(folder / "made"),
    ]
    subprocess.run(["plink2", *asked], check=True, capture_output=True)
    vectors = np.loadtxt(folder / "made.eigenvec", usecols=range(2, 7))[:KEPT]
    return {"eigenvalues": np.loadtxt(folder / "made.eigenval").tolist(), "eigenvectors": vectors.tolist()}


def main() -> None:
    """Write the file beside this one."""
    version = subprocess.run(
        ["plink2", "--version"], check=True, capture_output=True, text=True
    ).stdout.strip()
    cineca = Path(os.environ["PSYSTRATA_DATA"]) / "genotypes" / "cineca" / "cineca_synthetic_subset"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_plink(folder / "planted", planted(**PLANTED)[0])  # type: ignore[arg-type]
        made = {
            "plink2": version,
            "planted": {"arguments": PLANTED, **components(folder / "planted", folder)},
            "cineca": components(cineca, folder),
        }
    text = json.dumps(made, indent=1)
    Path(__file__).with_name("plink2_components.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
