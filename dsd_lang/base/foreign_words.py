"""A table of words from other languages and tools, with their equivalents in a schedule.

It is used only after a mistake, before the nearest name is suggested: `scope=local` means `layer`, and is not a
misspelt `global`.
"""

from __future__ import annotations

from typing import Literal

from dsd_lang.base.named_tuples import NamedTuple


class Meant(NamedTuple):
    """What a foreign word means: the word to write instead (None if one word is not enough), and a help line.

    ``role`` is set for an argument that corresponds to an item of a phase. ``unit`` is the unit of a plain number given
    to it. ``form`` is how to write the whole argument if a new name is not enough, with its value at `{}`.
    """

    word: str | None
    help: str
    role: Literal["", "length", "target"] = ""
    unit: str = ""
    form: str = ""


_LENGTH = "a length is written by itself: `50ep` for epochs, `500it` for optimizer updates"
_WARMUP = "a warm-up is a length: `warmup=5ep`, `warmup=100it`"
_EVERY = "how often a ramp selects again is `every=100it`"
_TARGET = Meant(None, "the share to prune is written by itself after `sparse`: `sparse 50%`", "target", form="{}")
_KEPT = Meant(
    None, "a target is the share that is pruned, not the share that is kept: `sparse 90%` keeps 10%", "target"
)
_STEPS = Meant(None, "milestones and their factor are written `decay=step(30ep, 60ep, by=0.1)`")
_OF_SGD = "it belongs to the optimizer: `opt=sgd(momentum=0.9, nesterov=on)`"
_ADAM = Meant(None, "it belongs to the optimizer: `opt=adam(beta1=0.9, beta2=0.999, eps=1e-8)`")
_UNTIL = Meant(None, "a phase stops early with a condition: `until plateau(val.loss, patience=3)`")
_FROM = Meant(None, 'the weights come from a phase or a file: `from=@label.end`, `from="weights.safetensors"`')
_RUN_OPTION = Meant(None, "where and how fast a schedule runs is an option of `dsd-run`; see `dsd-run --help`")
_PATTERN = Meant(None, "N:M is a target: `sparse 2:4`", "target")

# names of arguments
FOREIGN_ARGUMENTS: dict[str, Meant] = {
    name: meant
    for names, meant in (
        ("weight_decay weightdecay decay_weight l2 l2_reg weight_reg", Meant("wd", "weight decay is `wd=`")),
        ("learning_rate learningrate base_lr init_lr initial_lr start_lr max_lr rate alpha eta η",
         Meant("lr", "the start of a phase's learning rate is `lr=`")),
        ("batch_size batchsize bs mini_batch minibatch", Meant("batch", "samples in a batch are `batch=`")),
        ("optimizer optim optimiser", Meant("opt", "the optimizer is `opt=`")),
        ("scheduler lr_scheduler lr_schedule lr_policy lr_decay decay_type anneal annealing",
         Meant("decay", "the shape of the learning rate within a phase is `decay=`")),
        ("eta_min min_lr lr_min end_lr final_lr lr_end", Meant("floor", "the lowest rate of a decay is `floor=`")),
        ("warmup_steps warmup_iters num_warmup_steps", Meant("warmup", _WARMUP, unit="it", form="warmup={}")),
        ("warmup_epochs", Meant("warmup", _WARMUP, unit="ep", form="warmup={}")),
        ("warm_up warmup_length", Meant("warmup", _WARMUP)),
        ("warmup_ratio warmup_fraction", Meant(None, _WARMUP)),
        ("grad_clip gradient_clip clip_grad clip_norm clip_grad_norm max_grad_norm gradient_clipping clipnorm",
         Meant("clip", "gradient clipping is `clip=`: a norm, `norm(x)` or `value(x)`")),
        ("l1_reg l1_penalty l1_weight", Meant("l1", "the weight of an L1 penalty is `l1=`")),
        ("drop_rate dropout_rate dropout_p p_drop", Meant("dropout", "the probability of dropout is `dropout=`")),
        ("random_seed manual_seed rng_seed random_state", Meant("seed", "the seed is `set seed=`")),
        ("dtype amp fp16 bf16 half", Meant("precision", "the number format is `set precision=bf16`")),
        ("dataset datasets corpus", Meant("data", "the data set is `set data=`")),
        ("network net arch architecture backbone", Meant("model", "the network is `set model=`")),
        ("modules module params parameters layer include only weights targets prune_layers",
         Meant("layers", "which layers are pruned is `layers=`")),
        ("exclude excluded ignore ignored skip without not_layers",
         Meant("except", "which layers are left out is `except=`")),
        ("method criterion criteria score scorer metric_by importance pruner algorithm strategy pruning_method",
         Meant("by", "the score that decides what is pruned is `by=`")),
        ("granularity structure", Meant("unit", "what is pruned as one is `unit=`")),
        ("allocation distribution sparsity_distribution", Meant("alloc", "how the target is spread is `alloc=`")),
        ("frequency freq prune_freq update_frequency pruning_frequency interval",
         Meant("every", _EVERY, unit="it", form="every={}")),
        ("curve ramp_shape schedule_shape", Meant("ramp", "the shape of a ramp target is `ramp=`")),
        ("epochs epoch num_epochs n_epochs max_epochs nepochs total_epochs ep",
         Meant(None, _LENGTH, "length", "ep", "{}")),
        ("steps step max_steps num_steps iterations iters iteration max_iter updates num_updates it",
         Meant(None, _LENGTH, "length", "it", "{}")),
        ("duration length time", Meant(None, _LENGTH, "length", "ep", "{}")),
        ("sparsity amount ratio prune pruned prune_ratio pruning_rate pruning_ratio target target_sparsity compression",
         _TARGET),
        ("final_sparsity initial_sparsity init_sparsity end_sparsity start_sparsity",
         Meant(None, "sparsity that grows is a ramp target: `sparse 0->90%`", "target")),
        ("keep density keep_ratio keep_rate remaining keep_prob density_ratio", _KEPT),
        ("gamma factor milestones milestone step_size decay_epochs drop_every lr_drop lr_steps", _STEPS),
        ("momentum", Meant(None, _OF_SGD, form="opt=sgd(momentum={})")),
        ("nesterov dampening", Meant(None, _OF_SGD)),
        ("beta1 beta2 betas eps epsilon amsgrad", _ADAM),
        ("patience early_stop early_stopping stop stop_when min_delta monitor", _UNTIL),
        ("init resume checkpoint load ckpt pretrained weights_from start_from init_from", _FROM),
        ("rewind rewind_to", Meant("from", "weights are rewound by `from=@label.start` or `from=@init`")),
        ("device gpus gpu cuda workers num_workers threads save out output output_dir log log_dir", _RUN_OPTION),
        ("pattern nm n_m mask_structure prunen prunem", _PATTERN),
        ("structured structure_type", Meant(None, "whole rows, filters or channels are pruned by `unit=filter`")),
        ("unstructured", Meant(None, "single weights are pruned by default: leave it out")),
        ("frozen", Meant("freeze", "layers that are not trained are `freeze=embed,first_conv`")),
        ("name label id title", Meant(None, "a name is written before its phase: `base: dense 50ep`")),
        ("teacher", Meant("distill", "a teacher is `distill=@teacher.end(alpha=0.8, T=10)`")),
        ("temperature", Meant(None, "it belongs to the teacher: `distill=@teacher.end(alpha=0.8, T=10)`")),
        ("times rounds cycles repeats num_repeats",
         Meant(None, "rounds are a `repeat`: `repeat 3 { sparse 50%; dense }`")),
        ("metric", Meant("on", "the metric of a comparison is `on=`")),
        ("mode phase type", Meant(None, "a phase begins with its mode: `dense 50ep`, `sparse 50% 50ep`")),
        ("num_seeds n_seeds nseeds runs trials", Meant("seeds", "how often each branch is trained is `fork seeds=3`")),
    )
    for name in names.split()
}  # fmt: skip

# first words of statements
STATEMENTS: dict[str, Meant] = {
    name: meant
    for names, meant in (
        ("prune pruning sparsify prune_to pruned mask d2s",
         Meant("sparse", "a phase that prunes is `sparse 50% 10ep`")),
        ("train training pretrain pre_train finetune fine_tune retrain redense re_dense densify regrow fit d",
         Meant("dense", "a phase without pruning is `dense 10ep`")),
        ("s", Meant("sparse", "a phase that prunes is `sparse 50% 10ep`")),
        ("loop times cycle iterate", Meant("repeat", "a loop of N rounds is `repeat N { ... }`")),
        ("foreach", Meant("for", "a loop over values is `for x in 1, 2 { ... }`")),
        ("assert check require ensure", Meant("expect", "a claim is `expect a.test.err < b.test.err`")),
        ("config options setting settings", Meant("set", "settings are `set lr=1e-3 batch=128`")),
        ("branch branches parallel ablation ablate",
         Meant("fork", "branches are `fork { a: dense 5ep; b: dense 3ep }`")),
        ("grid search grid_search", Meant("sweep", "a grid of values is `sweep s in 25%, 50% { ... }`")),
        ("while if elif else when unless switch",
         Meant(None, "a schedule has no branching on values; a phase stops early by `until val.err < 10%`")),
        ("import include require source load_file",
         Meant(None, 'the `def`s and `let`s of another file come by `use "common.dsd"`')),
        ("fn func function macro define class lambda",
         Meant("def", "phases with parameters are `def dsd(s) { sparse s; dense }`, called as `dsd(50%)`")),
        ("var const val", Meant("let", "a value is named by `let s = 50%`")),
        ("return pass break continue yield begin end done",
         Meant(None, "a block begins with `{` and ends with `}`")),
        ("print echo log show", Meant(None, "`dsd-plan` shows the schedule, `dsd-run` its progress")),
        ("save checkpoint store", Meant(None, "naming a moment saves it: `from=@label.end`")),
        ("load restore resume rewind",
         Meant(None, "a phase loads weights with `from=`: `dense from=@label.end`, `dense from=@init`")),
        ("evaluate eval test validate validation",
         Meant(None, "evaluation happens after every epoch; a claim is `expect a.test.err < b.test.err`")),
        ("stop early_stop early_stopping exit quit",
         Meant(None, "a phase stops early with a condition: `dense 50ep until plateau(val.loss)`")),
        ("warmup warm_up", Meant(None, "a warm-up belongs to a phase: `dense 50ep warmup=5ep`")),
        ("distill distillation", Meant(None, "distillation belongs to a phase: `dense 50ep distill=@teacher.end`")),
        ("rem", Meant(None, "a comment starts with `#`")),
        ("freeze unfreeze", Meant(None, "layers that are not trained belong to a phase: `dense 50ep freeze=embed`")),
        ("pip conda python python3 sh bash dsd-run dsd-lint dsd_run cd",
         Meant(None, "commands are typed in a shell, not in a schedule")),
    )
    for name in names.split()
}  # fmt: skip

# words among the items of a phase: `sparse keep`, `dense 5ep if val.err > 10%`
ITEMS: dict[str, Meant] = {
    name: meant
    for names, meant in (
        ("keep same hold unchanged frozen previous", Meant("held", "the masks are kept by `sparse held`")),
        ("half", Meant("50%", "a target is a share: `50%`")),
        ("quarter", Meant("25%", "a target is a share: `25%`")),
        ("if when unless", Meant(None, "a phase has no start condition; it stops early with `until val.err < 10%`")),
        ("while", Meant(None, "a phase runs `until` a condition holds: invert it: `until val.err < 10%`")),
        ("le Ie", Meant("1e", "an exponent follows a digit: `1e-3`")),
    )
    for name in names.split()
}

# words of `lr=` arithmetic
FOREIGN_RATES: dict[str, Meant] = {
    name: meant
    for names, meant in (
        ("previous lr before start prev_lr current", Meant("prev", "`prev` is the start of the previous phase's rate")),
        ("initial init first base_lr initial_lr start_lr lr0", Meant("base", "`base` is the first phase's rate")),
        ("final end last_lr", Meant("last", "`last` is the final rate of the previous phase")),
        ("auto default none None null", Meant(None, "leave `lr=` out to inherit the rate")),
    )
    for name in names.split()
}

# values of arguments; matched ignoring case, `_` and `-`
VALUES: dict[str, dict[str, str]] = {
    argument: {word: meant for words, meant in rows for word in words.split()}
    for argument, rows in {
        "by": (
            ("l1 l2 abs absolute l1norm l1unstructured l2norm norm mag weight lowest smallest", "magnitude"),
            ("rand uniform", "random"),
            ("grad gradients", "gradient"),
        ),
        "scope": (
            ("local layerwise perlayer tensor pertensor parameter each uniform", "layer"),
            ("all network model whole overall total", "global"),
            ("perrow rows", "row"),
        ),
        "alloc": (("equal same layerwise constant", "uniform"), ("erdosrenyikernel", "erk"), ("erdosrenyi", "er")),
        "unit": (
            ("weights unstructured element single", "weight"),
            ("filters kernel kernels outchannel", "filter"),
            ("rows neuron neurons unit units node head", "row"),
            ("channels inchannel", "channel"),
            ("blocks", "block"),
        ),
        "opt": (("momentum sgdm torch.optim.sgd", "sgd"),),
        "decay": (
            ("cos cosineannealing cosineannealinglr cosinelr", "cosine"),
            ("exponential exponentiallr", "exp"),
            ("multistep multisteplr steplr steps piecewise", "step"),
            ("none off flat const fixed constantlr", "constant"),
            ("poly polynomial lineardecay linearlr", "linear"),
        ),
        "ramp": (("agp polynomial poly cubicdecay", "cubic"), ("exponential", "exp"), ("cos", "cosine")),
        "restore": (
            ("zeros 0 none", "zero"),
            ("last previous old savedvalues", "saved"),
            ("initial", "init"),
            ("rand", "random"),
        ),
        "from": (("scratch rand new", "random"), ("previous prev current", "last")),
        "clock": (("continue whole total all", "global"), ("local restart", "phase")),
        "state": (("clear forget new", "reset"), ("hold unchanged", "keep"), ("zeros", "zero")),
        "of": (("total whole original", "all"), ("alive left rest current", "remaining")),
        "others": (("keep held", "hold"),),
        "precision": (("bfloat16", "bf16"), ("float16 half", "fp16"), ("float32 float full", "fp32")),
        "test": (("ttest t", "welch"), ("pairedttest", "paired")),
        "at": (("last final", "end"), ("max min", "best")),
        "warmup": (("off null no false 0", "none"),),
        "clip": (("off null no false", "none"),),
        "update": (("off null no false", "none"),),
        "distill": (("off null no false", "none"),),
        "calibrate": (("no false null", "off"),),
        "noise": (("off null no false", "none"), ("uniform", "symmetric")),
        "rng": (("same", "shared"), ("different separate independent", "distinct")),
    }.items()
}  # fmt: skip

# kinds and roles of layers, in the words of frameworks
LAYERS: dict[str, str] = {
    word: meant
    for words, meant in (
        ("linear nn.linear dense fullyconnected fully_connected mlp ffn linears fcs", "fc"),
        ("conv1d conv2d conv3d nn.conv1d nn.conv2d nn.conv3d convolution convolutional convs cnn", "conv"),
        ("embedding embeddings nn.embedding embeds", "embed"),
        ("batchnorm batch_norm batchnorm1d batchnorm2d layernorm layer_norm bn ln norms nn.batchnorm2d nn.layernorm",
         "norm"),
        ("attn transformer mha multiheadattention self_attention nn.multiheadattention attentions", "attention"),
        ("nn.lstm lstms", "lstm"),
        ("nn.gru grus", "gru"),
        ("nn.rnn recurrent rnns", "rnn"),
        ("bilstm bigru bidirectional blstm birnns", "birnn"),
        ("last classifier head final last_layer output_layer", "output"),
        ("first first_layer input stem", "first_conv"),
        ("any every each model network", "all"),
        ("default auto", "prunable"),
    )
    for word in words.split()
}  # fmt: skip

# moments of a phase: `@label.final`
FOREIGN_MOMENTS: dict[str, str] = {
    word: meant
    for words, meant in (
        ("final last finish finished done stop exit trained after", "end"),
        ("begin beginning init initial first before", "start"),
        ("enter entry masked pruned", "entered"),
        ("top min max", "best"),
    )
    for word in words.split()
}

# metrics without their split, or by other names
FOREIGN_METRICS: dict[str, str] = {
    "accuracy": "acc", "error": "err", "top1": "top1_err", "top5": "top5_err", "perplexity": "ppl",
    "word_error_rate": "wer", "character_error_rate": "cer", "bleu": "bleu4",
}  # fmt: skip


COUNTERS = frozenset({"epoch", "epochs", "step", "steps", "iteration", "iterations", "it", "ep", "time"})
"""The units of a phase's length, which are not metrics."""


def value_meant(argument: str, written: str, known: tuple[str, ...]) -> str | None:
    """The value of an argument that another spelling, a foreign name or an abbreviation means."""
    plain = _plain(written)
    for word in known:
        if _plain(word) == plain:
            return word
    table = VALUES.get(argument, {})
    last = _plain(written.rpartition(".")[2])  # `torch.optim.SGD`
    for key in (plain, last):
        if key in table:
            return table[key]
    if last != plain and last in known:
        return last
    begun = [word for word in known if len(plain) >= 3 and _plain(word).startswith(plain)]
    return begun[0] if len(begun) == 1 else None


def _plain(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")


def item_meant(word: str) -> Meant | None:
    """What a word in the position of a phase's item means; `ep50` is a length with its unit in front."""
    unit, number = word[:2].lower(), word[2:]
    if unit in ("ep", "it") and number.isdecimal():
        return Meant(f"{number}{unit}", "the unit follows the number")
    return ITEMS.get(word) or ITEMS.get(word.lower())
