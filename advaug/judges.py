"""Judges: which synthetic rows are kept, for the parameter `judge` of the over-sampler."""

from advaug.domains.sequences.judge import BigramJudge
from advaug.domains.sequences.language_judge import LanguageJudge
from advaug.sampling.judges.conformal import ConformalJudge
from advaug.sampling.judges.descriptor_band import DescriptorBandJudge
from advaug.sampling.judges.panel import PanelJudge

__all__ = ["BigramJudge", "ConformalJudge", "DescriptorBandJudge", "LanguageJudge", "PanelJudge"]
