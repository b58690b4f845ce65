"""What columns of scoring files and weight tables are called, in small letters, the name that counts first in front."""

from collections.abc import Mapping, Sequence

from features.errors import BadInput

CATALOG_COLUMNS = {
    "id": ("rsid", "variant_id"),
    "chromosome": ("chr_name",),
    "position": ("chr_position",),
    "effect": ("effect_allele",),
    "other": ("other_allele",),
    "weight": ("effect_weight",),
    "frequency": ("allelefrequency_effect",),
    "inferred": ("hm_inferotherallele",),
    "dominant": ("is_dominant",),
    "recessive": ("is_recessive",),
    "haplotype": ("is_haplotype",),
    "diplotype": ("is_diplotype",),
    "interaction": ("is_interaction",),
    "by_genotype": ("dosage_0_weight",),
    "label": ("locus_name",),
    "harmonised_chromosome": ("hm_chr",),
    "harmonised_position": ("hm_pos",),
    "harmonised_id": ("hm_rsid",),
}
PLAIN_COLUMNS = {
    "id": ("rsid", "rs_id", "rs", "snp", "snpid", "snp_id", "variant_id", "markername", "marker", "id"),
    "chromosome": ("chr", "chrom", "chromosome", "chr_name"),
    "position": ("pos", "bp", "position", "base_pair_location", "chr_position", "physical_pos"),
    "effect": ("effect_allele", "a1", "ea"),
    "other": ("other_allele", "a2", "a0", "omitted", "nea", "non_effect_allele"),
    "frequency": ("a1frq", "a1freq", "a1_freq", "eaf", "effect_allele_frequency", "allelefrequency_effect"),
}
SBAYESR_COLUMNS = {
    "id": ("name",),
    "chromosome": ("chrom",),
    "position": ("position",),
    "effect": ("a1",),
    "other": ("a2",),
    "frequency": ("a1frq",),
    "weight": ("a1effect",),
}
WEIGHTS = ("effect_weight", "weight", "beta", "b", "effect", "a1effect", "log_or", "logor", "log(or)")
ODDS = ("or", "odds_ratio", "oddsratio", "hr", "hazard_ratio")
P_VALUES = ("p", "pval", "p_val", "pvalue", "p_value", "p.value", "p-value", "neg_log10_p", "minuslog10p")


def places_of(known: Mapping[str, Sequence[str]], lower: Sequence[str], shown: str) -> dict[str, int]:
    """The place of each meaning; several columns of one meaning are ambiguous, but for ids, where the first name counts."""
    places = {}
    for meaning, called in known.items():
        found = [name for name in called if name in lower]
        if len(found) > 1 and meaning != "id":
            raise BadInput(
                f"{shown}: {' and '.join(found)} may both be the {meaning}"
                f"{' allele' if meaning in ('effect', 'other') else ''}; keep one of them."
            )
        if found:
            places[meaning] = lower.index(found[0])
    return places
