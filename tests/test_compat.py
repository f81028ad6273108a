"""Programs for other libraries, run as they stand: `minitensor run` and `minitensor.compat`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from minitensor import cli, compat
from minitensor.compat import faces


@pytest.fixture
def program(tmp_path):
    """Writes a program, runs it by the command in another folder, and gives (exit code, output, errors)."""

    def run(text, *arguments, options=("--as", "tensorflow"), name="program.py"):
        path = tmp_path / "folder" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        command = [sys.executable, "-m", "minitensor", "run", *options, str(path), *arguments]
        env = {**os.environ, "SKBUILD_EDITABLE_VERBOSE": "0"}  # an editable install would print what it builds
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, input="typed\n", env=env)
        out = done.stdout.splitlines()
        return done.returncode, out, done.stderr.replace(str(path), "program.py")

    return run


def test_every_form_of_import(program):
    code, out, error = program(
        """
import tensorflow as tf
import tensorflow.keras.layers
import tensorflow.keras.datasets.mnist as data
from tensorflow import keras
from tensorflow.keras import optimizers, backend as K
from tensorflow.keras.models import Sequential, Model, load_model
from tensorflow.keras.layers import Dense, Conv1D, MaxPooling1D
from tensorflow.keras.datasets import mnist, cifar10, imdb
from tensorflow.keras.preprocessing.image import ImageDataGenerator
from keras.layers import Dense as Again
import keras as plain

assert Again is Dense is keras.layers.Dense is tf.keras.layers.Dense is tensorflow.keras.layers.Dense
assert plain is keras is tf.keras and data is mnist
assert keras.utils.to_categorical([1]).tolist() == [[0, 1]]
assert tf.math.exp(0.0).numpy() == 1 == tf.exp(0.0).numpy()
assert not hasattr(tf, "data") and not hasattr(keras.layers, "Bidirectional")
mnist.load_data = lambda: "replaced"
import minitensor.keras.datasets.mnist
assert minitensor.keras.datasets.mnist.load_data() == "replaced"
model = Sequential()
model.add(keras.Input(shape=(1,)))
model.add(Dense(1))
model.compile(optimizer=optimizers.SGD(0.1), loss="mse")
model.fit([1.0], [2.0], verbose=0)
print("done", keras.losses.MeanSquaredError()([1.0], [3.0]).numpy())
"""
    )
    assert (code, out, error) == (0, ["done 4.0"], "")


def test_a_program_is_main(program, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "helper.py").write_text("from tensorflow.keras import backend as K\nvalue = K.epsilon()\n")
    code, out, error = program(
        """
import sys, pickle
from helper import *
class Thing: pass
if __name__ == "__main__":
    print(sys.argv[1:], __file__ == sys.argv[0], sys.modules["__main__"].Thing is Thing, value)
    print(type(pickle.loads(pickle.dumps(Thing()))).__name__, input())
    sys.exit(3)
""",
        "--epochs",
        "5",
        "-x",
        options=(),
    )
    assert (code, error) == (3, "")
    assert out == ["['--epochs', '5', '-x'] True True 1e-07", "Thing typed"]
    assert program("raise SystemExit('stopped')")[::2] == (1, "stopped\n")
    assert program("raise SystemExit")[0] == 0


def test_tracebacks_begin_in_the_program(program):
    code, _, error = program("def f():\n    return 1 / 0\n\nf()\n")
    assert code == 1
    assert error.splitlines()[:2] == ["Traceback (most recent call last):", '  File "program.py", line 4, in <module>']
    assert error.endswith("ZeroDivisionError: division by zero\n")
    code, _, error = program("x = (\n")
    assert code == 1
    assert error.startswith('  File "program.py", line 1')
    assert "compat.py" not in error
    _, _, error = program("from tensorflow.keras.layers import Dense\nDense(3)(1.0)\n")
    assert 'File "program.py", line 2' in error  # an error within the library keeps its way there


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("from tensorflow.keras.layers import Dens", "tensorflow.keras.layers.Dens here; the nearest name is Dense"),
        ("from keras.layers import Bidirectional", "tensorflow.keras.layers.Bidirectional here"),
        ("import tensorflow.keras.layer", "tensorflow.keras.layer here; the nearest name is layers"),
        ("import tensorflow.data", "tensorflow.data here"),
        ("import tensorflow as tf; tf.constnt(1)", "tensorflow.constnt here; the nearest name is constant"),
        ("import tensorflow as tf; tf.keras.layer", "tensorflow.keras.layer here; the nearest name is layers"),
        (
            "from keras import Sequential; Sequential().fit_generator()",
            "Sequential.fit_generator here; the nearest name is fit",
        ),
    ],
)
def test_a_missing_name_is_said_in_one_line(program, line, want):
    code, _, error = program(f"import os\n\n{line}\n")
    assert code == 1
    assert error.count("\n") == 1
    assert error.startswith("minitensor: program.py, line 3: there is no ")
    assert want in error


def test_what_is_no_name_of_a_face_is_told_as_python_does(program):
    _, _, error = program("import nothing_of_this_name")
    assert error.endswith("ModuleNotFoundError: No module named 'nothing_of_this_name'\n")
    _, _, error = program("'text'.nothing")
    assert "AttributeError: 'str' object has no attribute 'nothing'" in error
    code, out, _ = program(
        "try:\n    from tensorflow.keras.layers import Bidirectional\nexcept ImportError:\n    print('without')\n"
    )
    assert (code, out) == (0, ["without"])


def test_the_command_refuses(program, capsys, tmp_path):
    assert cli.main(["run", str(tmp_path / "absent.py")]) == 1
    assert "absent.py: no such file" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["run", "--as", "fortran", "x.py"])
    with pytest.raises(ValueError, match="'fortran' is not one of tensorflow"):
        compat.install("fortran")


def test_a_library_that_is_loaded_already_is_not_replaced():
    code = (
        "import sys, types\nsys.modules['keras'] = other = types.ModuleType('keras')\nfrom minitensor import compat\n"
        "try:\n    compat.install('tensorflow')\nexcept ImportError as error:\n    print(error)\n"
        "assert sys.modules['keras'] is other and 'tensorflow' not in sys.modules"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "keras is already loaded" in out


def test_installing_twice_changes_nothing():
    code = (
        "from minitensor import keras, compat\nkeras.install_as_tensorflow()\nimport tensorflow as tf\n"
        "compat.install()\nimport tensorflow\nassert tensorflow is tf and tf.keras is keras"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_every_target_of_a_face_exists():
    for table in compat.FACES.values():
        for name, module in faces.entries(table):
            assert Path(module.__file__ or "").exists(), name
