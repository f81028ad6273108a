"""What tests of the Keras face make models of."""

from minitensor.keras.models import Sequential


def sequential(*layers, **options):
    model = Sequential(**options)
    for layer in layers:
        model.add(layer)
    return model


def draw(model, rng):
    """Other weights, biases included."""
    model.set_weights([rng.standard_normal(w.shape) for w in model.get_weights()])
    return model
