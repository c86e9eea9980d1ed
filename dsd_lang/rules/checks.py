"""The checks in order. :data:`STATEMENT_RULES` and :data:`TREE_RULES` look only at the text.

What one of the first reports about a statement follows from the text of that statement and its blocks, and from the
model's layers: an editor's statement that did not change and had no mistake is not checked again. :data:`ORDER_RULES`
look at the resolved phases.

:data:`QUIET_RULES` look at the phases too, and are off by default. :data:`MODEL_RULES` look at the selectors, and at
the model's layers if they are known.
"""

from __future__ import annotations

from dsd_lang.rules import (
    bad_ramp,
    densify_by_target,
    derived_value,
    duplicate_argument,
    duplicate_label,
    ends_sparse,
    floor_above_start,
    fork_without_labels,
    milestone_past_end,
    no_effect,
    one_seed_compare,
    paper_range,
    pattern_does_not_fit,
    redense_lr_not_lower,
    restore_without_mask,
    syntax_error,
    unequal_budgets,
    unknown_argument,
    unknown_layer,
    unknown_layer_trained,
    unknown_metric,
    untrusted_code,
    unused_name,
    warmup_past_end,
    wrong_value_names,
)

STATEMENT_RULES = (
    syntax_error.check,
    unknown_argument.check,
    duplicate_argument.check,
    fork_without_labels.check,
    untrusted_code.check,
    wrong_value_names.check,
    unknown_layer.check_words,
)
TREE_RULES = (duplicate_label.check, unknown_metric.check, unused_name.check)
MODEL_RULES = (unknown_layer.check, unknown_layer_trained.check, pattern_does_not_fit.check)
ORDER_RULES = (
    ends_sparse.check,
    redense_lr_not_lower.check,
    restore_without_mask.check,
    densify_by_target.check,
    bad_ramp.check,
    milestone_past_end.check,
    warmup_past_end.check,
    floor_above_start.check,
    no_effect.check,
    unequal_budgets.check,
    one_seed_compare.check,
)
QUIET_RULES = {
    derived_value.CODE: derived_value.check,
    paper_range.CODE: paper_range.check,
}
