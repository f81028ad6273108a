"""The words of the field in English and in French, with the name that each has in this library.

`python examples/glossary.py` prints the list by English, `--french` by French; `--find WORD` what has the word in it.

Covers DA-lexicon.
"""

from __future__ import annotations

from common import parser, table

# English, French, and where it is met here
TERMS = [
    ("activation function", "fonction d'activation", "nn.ReLU"),
    ("attention head", "tête d'attention", "nn.MultiheadAttention"),
    ("automatic differentiation", "différentiation automatique", "autograd"),
    ("backpropagation", "rétropropagation", "Tensor.backward"),
    ("batch", "lot", "utils.data.DataLoader"),
    ("bias", "biais", "nn.Linear"),
    ("checkpoint", "point de reprise", "utils.checkpoint"),
    ("computation graph", "graphe de calcul", "learn.draw"),
    ("confusion matrix", "matrice de confusion", "learn.plot.confusion"),
    ("convolution", "convolution", "nn.Conv2d"),
    ("cross-entropy", "entropie croisée", "nn.CrossEntropyLoss"),
    ("data set", "jeu de données", "datasets"),
    ("dropout", "abandon", "nn.Dropout"),
    ("embedding", "plongement", "nn.Embedding"),
    ("epoch", "époque", "fit"),
    ("gradient", "gradient", "Tensor.grad"),
    ("gradient descent", "descente de gradient", "optim.SGD"),
    ("kernel", "motif, noyau", "nn.functional.conv2d"),
    ("layer", "couche", "nn.Module"),
    ("learning rate", "pas", "optim.lr_scheduler"),
    ("loss", "fonction d'erreur", "nn.MSELoss"),
    ("momentum", "moment", "optim.SGD"),
    ("neuron", "neurone", "nn.Linear"),
    ("overfitting", "surapprentissage", "learn.plot.curves"),
    ("pooling", "regroupement", "nn.MaxPool2d"),
    ("residual stream", "flux résiduel", "models"),
    ("tensor", "tenseur", "Tensor"),
    ("token", "jeton", "text"),
    ("unembedding", "retranscription", "nn.Linear"),
    ("weight", "poids", "nn.Parameter"),
]


def main() -> None:
    """Prints the list."""
    options = parser(__doc__)
    options.add_argument("--french", action="store_true", help="by the French words")
    options.add_argument("--find", metavar="WORD", default="", help="what has this word in it")
    chosen = options.parse_args()
    word = chosen.find.lower()
    rows = [row for row in TERMS if any(word in part.lower() for part in row)]
    rows = [(french, english, name) for english, french, name in rows] if chosen.french else rows
    table(
        sorted(rows), ("français", "English", "minitensor") if chosen.french else ("English", "français", "minitensor")
    )


if __name__ == "__main__":
    main()
