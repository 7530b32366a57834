"""The command line, word by word: verbs, flags and overrides, and what is said of those that do not exist."""

from pathlib import Path

import pytest

from foodjax import cli
from foodjax.commands import arguments, configs, help
from foodjax.commands.verb import CONTINUED, Flag, Verb, name_of_verb
from foodjax.config.keys import table
from foodjax.data.sources.find import create_source
from foodjax.system.errors import UserError

NAMES = [verb.name for verb in cli.VERBS]


def read(*words):
    return arguments.read(words, cli.VERBS)


@pytest.mark.parametrize(
    "words,name",
    [
        (["evaluate", "--workdir", "x"], "evaluate"),
        (["--mode", "evaluate"], "evaluate"),
        (["--mode=evaluate", "--workdir", "x"], "evaluate"),
        (["-mode", "evaluate"], "evaluate"),
        (["--config", "x", "--mode", "find_lr"], "find_lr"),
        (["find-lr"], "find_lr"),
        (["--config", "food10"], "train"),
        (["--config.model.dtype=bfloat16"], "train"),
        (["--mode", "train", "--config.model.blocks[0].kernel=3"], "train"),
        ([], "train"),
    ],
)
def test_the_verb_comes_first_or_behind_mode_or_is_train(words, name):
    assert name_of_verb(words) == name
    assert read(*words).verb.name == name


def test_the_verbs_that_the_same_command_continues_exist():
    assert set(CONTINUED) <= set(NAMES)


MISTAKES = [
    (["trian"], "'trian' is no verb; did you mean 'train'?: needs one of train, evaluate, predict, inspect"),
    (["--mode", "fly"], "'fly' is no verb: needs one of train, evaluate"),
    (["--mode"], "--mode needs a verb, such as evaluate"),
    (["train", "--mode", "evaluate"], "the verb is 'train' and --mode is 'evaluate': needs one of them"),
    (["summary", "--config", "demo", "--jobs", "5", "--port", "9"], "summary takes no --jobs: sweep does"),
    (["train", "--output", "x"], "train takes no --output: evaluate, predict, labels, compare, reproduce, export do"),
    (["compare", "x", "--workdir", "x"], "compare takes no --workdir: train, evaluate, predict"),
    (["train", "--workdr", "x"], "--workdr is no flag of train; did you mean --workdir?: needs one of --config"),
    (["train", "--train.epochs=5"], "the key train.epochs is set by --config.train.epochs=VALUE"),
    (["train", "--train.sizes=0:48"], "the key train.progressive_resizing is set by --config.train.sizes=VALUE"),
    (["--config", "demo", "epochs=3"], "unexpected argument 'epochs=3': overrides look like --config.train.epochs=2"),
    (["--config", "demo", "evaluate"], "unexpected argument 'evaluate': the verb comes first, foodjax evaluate ..."),
    (["train", "--workdir"], "--workdir: expected one argument"),
    (["train", "--config.train.epochs"], "--config.train.epochs needs a value: --config.train.epochs=VALUE"),
    (["serve", "--port", "many"], "--port is 'many': needs an integer in [0, 65535]"),
    (["serve", "--port", "+-5"], "--port is '+-5': needs an integer in [0, 65535]"),
    (["serve", "--port", "65536"], "--port is '65536': needs an integer in [0, 65535]"),
    (["sweep", "--jobs", "0"], "--jobs is '0': needs an integer >= 1"),
    (["sweep", "--prune", "1"], "--prune is '1': needs 0, or at least 2; a rung keeps 1 / ETA of the variants"),
    (["export", "--format", "onyx"], "--format is 'onyx': needs one of keras, litert, onnx, safetensors, stablehlo"),
]  # fmt: skip


@pytest.mark.parametrize("words,message", MISTAKES)
def test_what_cannot_be_read_is_named_with_what_can(words, message):
    with pytest.raises(UserError) as caught:
        read(*words)
    assert message in str(caught.value)


LATER = [
    (["train"], "--config is missing: needs a packaged experiment such as food10, or a file"),
    (["--config.seed=1"], "--config is missing"),
    (["inspect"], "--config is missing"),
    (["serve"], "serve needs --workdir or --config"),
    (["export"], "export needs --workdir or --config"),
    (["summary"], "summary needs --workdir or --config"),
    (["compare", "x", "--config.seed=1"], "compare takes no config: --config.seed is not possible"),
    (["train", "--config", "food10", "--config.train.epoch=1"], "no key 'train.epoch'; did you mean 'train.epochs'"),
    (["train", "--config", "food10", "--config.train.epochs=many"], "train.epochs is 'many': needs an integer >= 1"),
    (["train", "--config", "food10:blocks=9"], "variant blocks is 9: needs a block from 1 to 4"),
    (["train", "--config", "food10:lr=-1"], "optimizer.learning_rate is -1.0: needs a number > 0"),
    (["train", "--config", "food10:lr=fast"], "optimizer.learning_rate is 'fast': needs a number > 0"),
    (["evaluate", "--workdir", "/no/such/run", "--config.eval.calibrate=true"], "/no/such/run holds no run"),
    (["predict", "--workdir", "/no/such/run", "--images", "README.md"], "/no/such/run holds no run"),
    (["serve", "--workdir", "/no/such/run"], "/no/such/run holds no run"),
    (["train", "--config", "~no-such-user/mine.py"], "--config ~no-such-user/mine.py does not exist"),
]


@pytest.mark.parametrize("words,message", LATER)
def test_what_cannot_be_loaded_is_named_with_what_can(words, message):
    with pytest.raises(UserError) as caught:
        configs.load(read(*words))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "words,message",
    [
        (["predict", "--workdir", "x"], "predict needs --images, photographs or folders of them"),
        (["import"], "import needs --keras, a .keras or .weights.h5 file"),
        (["compare"], "compare needs --runs, workdirs such as runs/ablate_blocks/*"),
    ],
)
def test_a_flag_that_a_verb_cannot_do_without(words, message):
    with pytest.raises(UserError) as caught:
        arguments.check_needs(read(*words))
    assert message == str(caught.value)


@pytest.mark.parametrize("verb", cli.VERBS, ids=NAMES)
@pytest.mark.parametrize("other", cli.VERBS, ids=NAMES)
def test_every_flag_of_another_verb_is_refused(verb, other):
    own = {flag.name for flag in verb.all_flags()}
    for flag in other.all_flags():
        if flag.name not in own:
            with pytest.raises(UserError, match=rf"{verb.name} takes no --{flag.name}: .*{other.name}.* do"):
                read(verb.name, f"--{flag.name}=1")


def test_overrides_in_all_their_spellings():
    command = read(
        "--config", "demo", "--config.seed", "3", "--config.eval.flip", "--noconfig.eval.calibrate",
        "--config.augment.flip_vertical", "false", "-config.data.dir=a=b", "--config.model.blocks[0].kernel=5",
        "--config.optimizer.momentum", "0.5", "--workdir=w",
    )  # fmt: skip
    assert command.overrides == [
        ("seed", "3"), ("eval.flip", "true"), ("eval.calibrate", "false"), ("augment.flip_vertical", "false"),
        ("data.dir", "a=b"), ("model.blocks[0].kernel", "5"), ("optimizer.momentum", "0.5"),
    ]  # fmt: skip
    found = configs.load(command)
    assert (found.config.seed, found.config.eval.flip, found.config.data.dir) == (3, True, "a=b")
    assert found.origin["overrides"]["model.blocks[0].kernel"] == 5
    assert found.workdir == Path("w")


def test_an_override_by_an_old_name_is_of_the_key():
    found = configs.load(read("--config", "food10_fast", "--config.train.sizes=0:32,3:48"))
    assert found.config.train.progressive_resizing == ((0, 32), (3, 48))
    assert found.origin["overrides"] == {"train.progressive_resizing": ((0, 32), (3, 48))}


def test_a_key_that_another_has_replaced_is_understood_and_told(capsys):
    words = ("--config", "food10", "--config.optimizer.lower_rate=0.25", "--config.optimizer.lower_blocks", "2")
    found = configs.load(read(*words))
    rates = (("block1/*", 0.25), ("block2/*", 0.25))
    assert found.config.optimizer.rates == rates
    assert found.origin["overrides"] == {"optimizer.rates": rates}
    same = "'--config.optimizer.rates=block1/*:0.25,block2/*:0.25'"
    assert capsys.readouterr().out == (
        f"optimizer.rates has replaced optimizer.lower_rate and optimizer.lower_blocks: from now on write {same}\n"
    )
    again = configs.load(read("--config", "food10", same.strip("'")))
    assert again.config == found.config
    assert capsys.readouterr().out == ""
    for name in ("optimizer.lower_blocks", "--config.optimizer.lower_rate"):
        text = help.topic(name, cli.VERBS)
        assert text == help.topic("optimizer.rates", cli.VERBS)
        assert "there were optimizer.lower_blocks and optimizer.lower_rate in its place" in text


def test_an_import_without_an_experiment_overrides_the_tutorial():
    found = configs.load(read("import", "--keras", "x.keras", "--config.seed=1"))
    assert (found.config.name, found.config.seed) == ("food10", 1)
    assert found.origin == {"config": "food10", "overrides": {"seed": 1}}


def test_a_home_that_is_unknown_stays_as_it_was_typed():
    found = configs.load(read("train", "--config", "demo", "--workdir=~no-such-user/x"))
    assert found.workdir == Path("~no-such-user/x")
    with pytest.raises(UserError, match="data.dir=~no-such-user/x does not exist"):
        create_source(configs.load(read("train", "--config", "demo", "--config.data.dir=~no-such-user/x")).config)


def test_words_and_repeated_flags_are_one_list():
    words = [
        "predict",
        "a.jpg",
        "--images",
        "b.jpg",
        "c.jpg",
        "--output",
        "x.csv",
        "--images=d,e.jpg",
        "--workdir",
        "w",
        "f",
    ]
    assert read(*words).flags.images == ["a.jpg", "f", "b.jpg", "c.jpg", "d,e.jpg"]


@pytest.mark.parametrize("verb", cli.VERBS, ids=NAMES)
def test_home_is_expanded_in_every_flag_that_is_a_place(verb, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for flag in verb.flags:
        if flag.metavar in ("FILE", "DIR"):
            assert getattr(read(verb.name, f"--{flag.name}=~/x").flags, flag.name) == tmp_path / "x"
    if verb.config in ("file", "any"):
        found = configs.load(read(verb.name, "--config", "demo", "--workdir=~/x"))
        assert found.workdir == tmp_path / "x"


@pytest.mark.parametrize("verb", cli.VERBS, ids=NAMES)
def test_the_help_of_a_verb_has_its_flags_defaults_and_an_example(verb):
    text = help.topic(verb.name, cli.VERBS)
    for flag in verb.all_flags():
        assert f"--{flag.name}" in text
        if flag.default:
            assert f"(default: {flag.default})" in " ".join(text.split())
    assert verb.examples
    assert f"foodjax {verb.name} " in verb.examples[0]
    assert all(example in text for example in verb.examples)
    assert f"  {verb.name} " in help.overview(cli.VERBS)
    for example in verb.examples:
        arguments.check_needs(read(*example.split()[1:]))


@pytest.mark.parametrize("name", table())
def test_the_help_of_a_key_has_meaning_unit_range_and_default(name):
    key, text = table()[name], help.topic(name, cli.VERBS)
    assert key.meaning in text
    assert key.unit in text
    assert key.rule.needs in text
    assert f"--config.{name}=" in text
    if key.was:
        assert help.topic(key.was, cli.VERBS) == text


@pytest.mark.parametrize(
    "topic,words",
    [
        ("--config.data.batch_size", "data.batch_size"),
        ("augment", "augment.rotation"),
        ("drop_block", "leaves out a block"),
        ("residual", "depth"),
        ("model.blocks", "foodjax help KIND"),
        ("model.blocks[0].kernel", "foodjax help KIND"),
        ("find-lr", "usage: foodjax find_lr"),
        ("", "train.epochs"),
    ],
)
def test_help_of_other_topics(topic, words):
    assert words in help.topic(topic, cli.VERBS)


def test_no_help_says_what_there_is():
    with pytest.raises(UserError, match="no help for 'data.batchsize'; did you mean 'data.batch_size'"):
        help.topic("data.batchsize", cli.VERBS)


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["train", "--help"], ["predict", "-h"], ["--version"], ["help"]])
def test_help_ends_with_status_0(words, capsys):
    assert cli.main(["foodjax", *words]) == 0
    out = capsys.readouterr()
    assert out.out.strip()
    assert not out.err


def test_a_new_verb_is_a_file_and_a_line(monkeypatch, capsys):
    seen = []
    verb = Verb(
        "shout", "shouts", seen.append, "none", ("foodjax shout --loud 3",), (Flag("loud", "N", "how", 1, int),)
    )
    monkeypatch.setattr(cli, "VERBS", [*cli.VERBS, verb])
    assert cli.main(["foodjax", "shout", "--loud", "3"]) == 0
    assert seen[0].flags.loud == 3
    assert cli.main(["foodjax", "train", "--loud", "3"]) == 2
    assert "train takes no --loud: shout does" in capsys.readouterr().err
    assert cli.main(["foodjax", "--help"]) == 0
    assert "shout       shouts" in capsys.readouterr().out
