"""Write the scores of plink2 that test_genetic_plink2 keeps: `python -m tests.features.golden.genetic_scores_reference PLINK2`.

Needs PSYSTRATA_DATA. Sets: CINECA's cohort as BED and PGEN, chromosome 22 and 10 of 1000 Genomes as VCF. Weights are drawn by
tests.features.plink2_scores.random_weights; frequencies are plink2's own.
"""

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl

from features.genetics.genotypes import GenotypeFile
from features.genetics.opening import open_genotypes
from tests.features.plink2_scores import by_plink2, columns_of, random_weights

GOLDEN = Path(__file__).with_name("genetic_scores_plink2.tsv")
SETS = {
    "cineca_bed": ("cineca/cineca_synthetic_subset.bed", "--bfile"),
    "cineca_pgen": ("cineca/cineca_synthetic_subset.pgen", "--pfile"),
    "thousand_genomes": ("scorefiles/tiny1000G.vcf.gz", "--vcf"),
}


@functools.cache
def open_set(data: Path, name: str) -> GenotypeFile:
    """Open one of the sets in the folder of genotypes."""
    return open_genotypes(data, SETS[name][0])


def main(plink2: str) -> None:
    """Run plink2 on every set, mode and imputation, and store eleven people, those with missing genotypes first."""
    data = Path(os.environ["PSYSTRATA_DATA"]) / "genotypes"
    version = subprocess.run([plink2, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    kept = []
    for name, (entry, option) in SETS.items():
        file = open_set(data, name)
        path = str(data / entry)
        genotypes = [option, path if option == "--vcf" else path.rsplit(".", 1)[0]]
        for mode in ("additive", "dominant", "recessive"):
            weights = random_weights(file.variants, 2, mode=mode)
            for imputation in ("mean", "none"):
                modifiers = [mode] if mode != "additive" else []
                modifiers += ["no-mean-imputation"] if imputation == "none" else []
                with tempfile.TemporaryDirectory() as folder:
                    table = by_plink2(plink2, Path(folder), genotypes, weights, *modifiers)
                values = columns_of(table, 2, imputation)
                found = pl.DataFrame(
                    {
                        "set": name,
                        "mode": mode,
                        "imputation": imputation,
                        "sample": table["IID" if "IID" in table.columns else "#IID"],
                        "alleles": table["ALLELE_CT"],
                        "S0": values[:, 0],
                        "S1": values[:, 1],
                    }
                )
                few = found.with_row_index().sort("alleles", "index").head(8)["index"].to_list()
                rows = sorted({*few, *(place for place in (0, 700, 1400, 2100, 2400) if place not in few)})[
                    :11
                ]
                kept.append(found[rows])
    told = f"# By {version}; see genetic_scores_reference.py.\n"
    GOLDEN.write_text(told + pl.concat(kept).write_csv(separator="\t"))


if __name__ == "__main__":
    main(sys.argv[1])
