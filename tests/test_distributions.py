"""Distributions: PyTorch's draws and densities, and what follows from the definitions alone."""

import math

import numpy as np
import pytest

import minitensor as mt

d = mt.distributions
T = mt.tensor

# (distribution, two draws after manual_seed(3), their log_prob, entropy), of PyTorch 2.13.
TABLE = [
    (
        "Normal(T([0.5, -1.0]), T([1.0, 2.0]))",
        [[1.30328, -0.650333], [0.588978, -2.22744]],
        [[-1.24156, -1.62737], [-0.922897, -1.80041]],
        [1.41894, 2.11209],
    ),
    (
        "LogNormal(0.0, T([0.5, 1.0]))",
        [[1.49427, 1.19105], [1.04549, 0.541334]],
        [[-0.950055, -1.10906], [-0.274239, -0.493545]],
        [0.725791, 1.41894],
    ),
    (
        "HalfNormal(T([1.0, 3.0]))",
        [[0.803276, 0.5245], [0.0889781, 1.84115]],
        [[-0.548418, -1.33969], [-0.22975, -1.51273]],
        [0.725791, 1.8244],
    ),
    (
        "Uniform(-1.0, T([1.0, 2.0]))",
        [[-0.991473, -0.683292], [-0.428315, -0.919136]],
        [[-0.693147, -1.09861], [-0.693147, -1.09861]],
        [0.693147, 1.09861],
    ),
    (
        "Exponential(T([0.5, 2.0]))",
        [[0.0694069, 0.168955], [2.96486, 0.0961417]],
        [[-0.727851, 0.355238], [-2.17558, 0.500864]],
        [1.69315, 0.306853],
    ),
    (
        "Laplace(T([0.0, 1.0]), 2.0)",
        [[-9.529, -2.11048], [-1.11833, -4.84089]],
        [[-6.15079, -2.94153], [-1.94546, -4.30674]],
        [2.38629, 2.38629],
    ),
    (
        "Cauchy(0.0, T([1.0, 2.0]))",
        [[-9.29661, -1.58443], [1.15544, -3.26538]],
        [[-5.61553, -2.32499], [-1.99276, -3.13689]],
        [2.53102, 3.22417],
    ),
    (
        "Gamma(T([0.5, 3.0]), T([1.0, 2.0]))",
        [[0.73775, 3.22363], [0.241019, 2.34102]],
        [[-1.15804, -2.71995], [-0.101944, -1.59457]],
        [0.0906095, 1.15443],
    ),
    (
        "Chi2(T([1.0, 5.0]))",
        [[1.4755, 11.378], [0.482038, 8.04357]],
        [[-1.85119, -4.05904], [-0.795092, -2.91203]],
        [0.783757, 2.42309],
    ),
    (
        "Beta(T([0.5, 3.0]), T([1.5, 2.0]))",
        [[0.153284, 0.617333], [0.0282598, 0.685427]],
        [[0.402954, 0.559623], [1.31724, 0.572941]],
        [-0.548418, -0.234906],
    ),
    (
        "Dirichlet(T([0.5, 3.0, 1.0]))",
        [[0.0982082, 0.85825, 0.0435423], [0.0442957, 0.586527, 0.369178]],
        [2.04284, 1.67958],
        -1.93224,
    ),
    (
        "Bernoulli(T([0.3, 0.8]))",
        [[1, 1], [1, 1]],
        [[-1.20397, -0.223144], [-1.20397, -0.223144]],
        [0.610864, 0.500402],
    ),
    (
        "Bernoulli(logits=T([0.3, -0.8]))",
        [[1, 1], [1, 1]],
        [[-0.554355, -1.1711], [-0.554355, -1.1711]],
        [0.682022, 0.619121],
    ),
    ("Geometric(T([0.3, 0.8]))", [[15, 1], [3, 2]], [[-6.5541, -1.83258], [-2.274, -3.44202]], [2.03621, 0.625503]),
    ("Binomial(T([4.0, 60.0]), T([0.3, 0.8]))", [[0, 50], [0, 45]], [[-1.4267, -2.20556], [-1.4267, -2.57805]], None),
    ("Poisson(T([3.0, 40.0]))", [[0, 36], [3, 39]], [[-3, -2.92003], [-1.49592, -2.76546]], None),
    (
        "Categorical(T([[1.0, 2.0, 3.0], [3.0, 1.0, 0.0]]))",
        [[0, 1], [1, 0]],
        [[-1.79176, -1.38629], [-1.09861, -0.287682]],
        [1.0114, 0.562335],
    ),
    ("Categorical(logits=T([1.0, 2.0, 3.0]))", [0, 1], [-2.40761, -1.40761], 0.832395),
    ("OneHotCategorical(T([1.0, 2.0, 3.0]))", [[1, 0, 0], [0, 1, 0]], [-1.79176, -1.09861], 1.0114),
    ("Multinomial(5, T([1.0, 2.0, 3.0]))", [[1, 2, 2], [0, 3, 2]], [-1.97408, -2.37955], 2.54573),
    (
        "MultivariateNormal(T([1.0, -1.0]), T([[2.0, 0.5], [0.5, 1.0]]))",
        [[2.136, -0.552457], [1.12583, -1.54262]],
        [-2.45559, -2.30997],
        3.11768,
    ),
    (
        "Independent(d.Normal(T([0.5, -1.0]), T([1.0, 2.0])), 1)",
        [[1.30328, -0.650333], [0.588978, -2.22744]],
        [-2.86893, -2.72331],
        3.53102,
    ),
    (
        "StudentT(T([3.0, 5.0]), T([0.0, 1.0]), 2.0)",
        [[1.7834, 1.65511], [0.48528, 0.023178]],
        [[-2.16425, -1.72546], [-1.73291, -1.80158]],
        [2.46662, 2.32065],
    ),
    (
        "FisherSnedecor(T([2.0, 5.0]), T([6.0, 10.0]))",
        [[4.9688, 0.684511], [1.42035, 0.266618]],
        [[-3.90769, -0.437452], [-1.55043, -0.582711]],
        None,
    ),
    (
        "NegativeBinomial(T([2.0, 5.0]), probs=T([0.3, 0.6]))",
        [[2.0, 6.0], [1.0, 2.0]],
        [[-2.02268, -2.2993], [-1.22418, -2.89506]],
        None,
    ),
    (
        "Gumbel(T([0.0, 1.0]), T([1.0, 2.0]))",
        [[-1.69702, -0.620426], [-0.224993, -1.56941]],
        [[-3.76064, -2.13132], [-1.02732, -3.02204]],
        [1.57722, 2.27036],
    ),
    (
        "Weibull(T([1.0, 2.0]), T([0.5, 3.0]))",
        [[0.00120433, 1.39304], [2.1976, 1.15437]],
        [[2.63307, -0.655762], [-2.56926, -0.886005]],
        [1.11593, 0.979345],
    ),
    (
        "Pareto(T([1.0, 2.0]), T([3.0, 5.0]))",
        [[1.01163, 2.13984], [1.63909, 2.07841]],
        [[1.05236, 0.510788], [-0.877952, 0.685555]],
        [0.234721, 0.283709],
    ),
    (
        "Kumaraswamy(T([2.0, 3.0]), T([2.0, 0.5]))",
        [[0.966801, 0.996271], [0.682171, 0.999758]],
        [[-1.37629, 2.64636], [0.377663, 4.01909]],
        [-0.136294, -0.996328],
    ),
    (
        "HalfCauchy(T([1.0, 2.0]))",
        [[9.29661, 1.58443], [1.15544, 3.26538]],
        [[-4.92239, -1.63184], [-1.29961, -2.44374]],
        [1.83788, 2.53102],
    ),
    (
        "InverseGamma(T([3.0, 5.0]), T([1.0, 2.0]))",
        [[0.237798, 0.395677], [0.364592, 0.872975]],
        [[0.846938, 0.795996], [0.599967, -1.18824]],
        [0.00201035, -0.165505],
    ),
    (
        "LogisticNormal(T([0.0, 1.0]), T([1.0, 2.0]))",
        [[0.527504, 0.375197, 0.0972986], [0.35339, 0.286697, 0.359913]],
        [1.08094, 0.588098],
        None,
    ),
    (
        "VonMises(T([0.0, 1.0]), T([0.5, 4.0]))",
        [[-0.0690024, 1.24015], [-2.09191, 1.14045]],
        [[-1.40062, -0.37764], [-2.14835, -0.302238]],
        None,
    ),
    (
        "RelaxedBernoulli(T(0.5), probs=T([0.3, 0.6]))",
        [[3.36738e-06, 0.0303921], [0.0285836, 0.00172362]],
        [[6.4463, 0.471333], [1.30181, 2.03099]],
        None,
    ),
    (
        "RelaxedOneHotCategorical(T(0.7), logits=T([0.3, 0.6, -1.0]))",
        [[0.129406, 0.705138, 0.165456], [0.063737, 0.922021, 0.0142418]],
        [0.327475, 3.1859],
        None,
    ),
    (
        "MixtureSameFamily(d.Categorical(T([0.2, 0.8])), d.Normal(T([-1.0, 1.0]), T([0.5, 1.0])))",
        [-0.955511, -0.368259],
        [-1.57934, -1.62458],
        None,
    ),
    (
        "TransformedDistribution(d.Normal(T([0.0, 1.0]), 1.0), [d.TanhTransform(), d.AffineTransform(1.0, 2.0)])",
        [[2.33173, 2.65163], [1.17749, 1.7363]],
        [[-1.34885, -0.481758], [-1.60814, -1.65477]],
        None,
    ),
]
EXPANDED = [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]


@pytest.mark.parametrize(("text", "draws", "log_prob", "entropy"), TABLE, ids=[row[0] for row in TABLE])
def test_draws_densities_and_entropies_are_pytorchs(text, draws, log_prob, entropy):
    q = eval(f"d.{text}")
    mt.manual_seed(3)
    x = q.sample((2,))
    np.testing.assert_allclose(x.numpy(), draws, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(q.log_prob(T(draws)).numpy(), log_prob, rtol=1e-4, atol=1e-5)
    if entropy is None:
        with pytest.raises(NotImplementedError):
            q.entropy()
    else:
        np.testing.assert_allclose(q.entropy().numpy(), entropy, rtol=1e-5, atol=1e-6)
    assert tuple(x.shape) == (2, *q.batch_shape, *q.event_shape)
    wide = q.expand((4, *q.batch_shape))
    assert wide.sample().shape == (4, *q.batch_shape, *q.event_shape)
    assert wide.log_prob(x[0]).shape == (4, *q.batch_shape)


CONTINUOUS = [
    d.Normal(0.5, 1.5),
    d.LogNormal(0.0, 0.5),
    d.HalfNormal(2.0),
    d.Uniform(-1.0, 3.0),
    d.Exponential(0.7),
    d.Laplace(1.0, 0.5),
    d.Gamma(2.5, 1.5),
    d.Chi2(4.0),
    d.Beta(2.0, 3.0),
    d.StudentT(8.0, 1.0, 0.5),
    d.Gumbel(0.5, 1.5),
    d.Weibull(2.0, 1.5),
    d.InverseGamma(9.0, 4.0),
]


@pytest.mark.parametrize("q", CONTINUOUS, ids=lambda q: type(q).__name__)
def test_densities_add_up_and_give_the_moments(q):
    """Sums over a fine grid: of p, x p, (x - mean)^2 p and -p ln p; cdf is the sum so far, icdf its inverse."""
    x = np.linspace(-12, 40, 104_001)
    inside = q.support.check(T(x)).numpy() & (x != 0)
    x = x[inside]
    log_p = q.log_prob(T(x)).numpy()
    p, h = np.exp(log_p), 5e-4
    assert p.sum() * h == pytest.approx(1, abs=5e-4)
    mean = (x * p).sum() * h
    assert mean == pytest.approx(q.mean.item(), abs=1e-3)
    assert ((x - mean) ** 2 * p).sum() * h == pytest.approx(q.variance.item(), rel=2e-3)
    assert q.stddev.item() == pytest.approx(math.sqrt(q.variance.item()))
    finite = p > 0
    assert -(p[finite] * log_p[finite]).sum() * h == pytest.approx(q.entropy().item(), abs=2e-3)
    if type(q) not in (d.Beta, d.StudentT):
        at = len(x) // 3
        assert q.cdf(T(x[at])).item() == pytest.approx(p[: at + 1].sum() * h, abs=5e-4)
        if type(q) not in (d.Gamma, d.Chi2, d.InverseGamma):
            levels = T([0.1, 0.5, 0.9])
            np.testing.assert_allclose(q.cdf(q.icdf(levels)).numpy(), levels.numpy(), rtol=1e-5)


@pytest.mark.parametrize(
    "q",
    [
        d.Bernoulli(0.3),
        d.Binomial(6, 0.3),
        d.Categorical(T([1.0, 2.0, 3.0])),
        d.Poisson(2.5),
        d.Geometric(0.4),
        d.NegativeBinomial(3, 0.4),
    ],
    ids=lambda q: type(q).__name__,
)
def test_probabilities_add_up_and_give_the_moments(q):
    k = q.enumerate_support() if q.has_enumerate_support else mt.arange(60.0)
    p = q.log_prob(k).exp().numpy()
    assert p.sum() == pytest.approx(1, abs=1e-5)
    if type(q) is not d.Categorical:
        mean = (k.numpy() * p).sum()
        assert mean == pytest.approx(q.mean.item(), rel=1e-4)
        assert ((k.numpy() - mean) ** 2 * p).sum() == pytest.approx(q.variance.item(), rel=1e-4)
    if type(q) not in (d.Poisson, d.NegativeBinomial):
        assert -(p * np.log(p + 1e-300)).sum() == pytest.approx(q.entropy().item(), abs=1e-4)


@pytest.mark.parametrize(
    ("p", "q"),
    [
        (d.Normal(0.5, 1.5), d.Normal(0.0, 2.0)),
        (d.LogNormal(0.5, 0.5), d.LogNormal(0.0, 1.0)),
        (d.HalfNormal(1.0), d.HalfNormal(2.0)),
        (d.Gumbel(0.5, 1.0), d.Gumbel(0.0, 2.0)),
        (d.Pareto(1.0, 3.0), d.Pareto(0.5, 2.0)),
        (d.Laplace(1.0, 0.5), d.Laplace(0.0, 2.0)),
        (d.Exponential(0.7), d.Exponential(2.0)),
        (d.Gamma(2.5, 1.5), d.Gamma(1.5, 1.0)),
        (d.Exponential(0.7), d.Gamma(1.5, 1.0)),
        (d.Gamma(2.5, 1.5), d.Exponential(0.7)),
        (d.Beta(2.0, 3.0), d.Beta(1.5, 1.0)),
        (d.Uniform(0.0, 1.0), d.Uniform(-1.0, 2.0)),
        (d.Uniform(0.0, 1.0), d.Normal(0.5, 2.0)),
        (d.Bernoulli(0.3), d.Bernoulli(0.6)),
        (d.Binomial(5, 0.3), d.Binomial(5, 0.6)),
        (d.Poisson(2.0), d.Poisson(3.0)),
        (d.Geometric(0.3), d.Geometric(0.5)),
        (d.Categorical(T([1.0, 2.0])), d.Categorical(T([2.0, 1.0]))),
    ],
    ids=lambda q: type(q).__name__,
)
def test_divergences_are_the_sums_that_they_stand_for(p, q):
    if p.support.is_discrete:
        x, h = (p.enumerate_support() if p.has_enumerate_support else mt.arange(60.0)), 1.0
    else:
        grid = np.linspace(-12, 40, 104_001)
        x, h = T(grid[p.support.check(T(grid)).numpy() & (grid != 0)]), 5e-4
    a, b = p.log_prob(x).double(), q.log_prob(x).double()
    want = (a.exp() * (a - b)).numpy()
    assert np.nansum(want) * h == pytest.approx(d.kl_divergence(p, q).item(), abs=2e-3)
    assert d.kl_divergence(p, p).item() == pytest.approx(0, abs=1e-5)


def test_divergences_of_vectors():
    m = T([[2.0, 0.5], [0.5, 1.0]])
    p, q = d.MultivariateNormal(mt.zeros(2), m), d.MultivariateNormal(T([1.0, 0.0]), mt.eye(2))
    want = 0.5 * (3.0 + 1.0 - 2 - math.log(1.75))
    assert d.kl_divergence(p, q).item() == pytest.approx(want, rel=1e-5)
    a, b = d.Dirichlet(T([2.0, 3.0])), d.Dirichlet(T([1.5, 1.0]))
    assert d.kl_divergence(a, b).item() == pytest.approx(
        d.kl_divergence(d.Beta(2.0, 3.0), d.Beta(1.5, 1.0)).item(), rel=1e-5
    )
    x, y = d.Normal(mt.zeros(3), 1.0), d.Normal(mt.ones(3), 1.0)
    assert d.kl_divergence(d.Independent(x, 1), d.Independent(y, 1)).item() == pytest.approx(1.5)
    with pytest.raises(NotImplementedError, match="p type Normal and q type Poisson"):
        d.kl_divergence(d.Normal(0.0, 1.0), d.Poisson(1.0))


def test_forms_of_a_normal_vector_agree():
    m = T([[2.0, 0.5], [0.5, 1.0]])
    x = T([[0.3, -0.2], [1.0, 2.0]])
    loc = T([1.0, -1.0])
    forms = [
        d.MultivariateNormal(loc, m),
        d.MultivariateNormal(loc, precision_matrix=mt.linalg.inv(m)),
        d.MultivariateNormal(loc, scale_tril=mt.linalg.cholesky(m)),
    ]
    far = x.numpy() - loc.numpy()
    inverse = np.linalg.inv(m.numpy())
    want = -0.5 * (np.einsum("ni,ij,nj->n", far, inverse, far) + math.log(4 * math.pi**2 * 1.75))
    for q in forms:
        np.testing.assert_allclose(q.log_prob(x).numpy(), want, rtol=1e-5)
        np.testing.assert_allclose(q.covariance_matrix.numpy(), m.numpy(), rtol=1e-5)
        np.testing.assert_allclose(q.variance.numpy(), [2.0, 1.0], rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "mean"),
    [
        (lambda p: d.Normal(p[0], p[1]), lambda p: p[0] ** 2 + p[1] ** 2),
        (lambda p: d.Uniform(0.0, p[0]), lambda p: p[0] ** 2 / 3),
        (lambda p: d.Exponential(p[0]), lambda p: 2 / p[0] ** 2),
        (lambda p: d.Gamma(p[0], p[1]), lambda p: p[0] * (p[0] + 1) / p[1] ** 2),
        (lambda p: d.Beta(p[0], p[1]), lambda p: p[0] * (p[0] + 1) / ((p[0] + p[1]) * (p[0] + p[1] + 1))),
    ],
)
def test_gradients_of_draws_are_those_of_the_expectation(make, mean):
    """E x^2 by the parameters, from 20,000 draws."""
    mt.manual_seed(0)
    p = mt.tensor([0.8, 1.7], requires_grad=True)
    (make(p).rsample((20_000,)) ** 2).mean().backward()
    got = p.grad.numpy().copy()
    q = mt.tensor([0.8, 1.7], requires_grad=True)
    mean(q).backward()
    np.testing.assert_allclose(got, q.grad.numpy(), rtol=0.08, atol=0.02)


def test_a_policy_learns():
    """REINFORCE on three arms: the best one is chosen in the end."""
    mt.manual_seed(0)
    logits = mt.zeros(3, requires_grad=True)
    optimizer = mt.optim.Adam([logits], lr=0.1)
    rewards = T([0.1, 0.5, 0.9])
    for _ in range(150):
        policy = d.Categorical(logits=logits)
        action = policy.sample((16,))
        loss = -(policy.log_prob(action) * (rewards[action] - 0.5)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert d.Categorical(logits=logits).probs[2] > 0.9


def test_draws_have_no_graph_and_rsample_says_where_there_is_none():
    p = mt.tensor([0.3], requires_grad=True)
    for q in (d.Normal(p, 1.0), d.Bernoulli(p), d.Poisson(p), d.Gamma(p, 1.0), d.Categorical(logits=mt.cat([p, p]))):
        assert not q.sample().requires_grad
    with pytest.raises(NotImplementedError, match="Bernoulli has no rsample"):
        d.Bernoulli(p).rsample()


def test_printing():
    assert repr(d.Normal(0.0, 1.0)) == "Normal(loc: 0.0, scale: 1.0)"
    assert repr(d.Bernoulli(mt.ones(2) / 2)) == "Bernoulli(probs: minitensor.Size([2]))"
    assert (
        repr(d.Independent(d.Exponential(mt.ones(2)), 1)) == "Independent(Exponential(rate: minitensor.Size([2])), 1)"
    )


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: d.Normal(0.0, -1.0), r"Expected parameter scale \(Tensor of shape \(\)\) of distribution Normal"),
        (lambda: d.Categorical(T([-1.0, 2.0])), r"satisfy the constraint Simplex\(\)"),
        (lambda: d.Bernoulli(1.5), r"Interval\(lower_bound=0.0, upper_bound=1.0\)"),
        (lambda: d.Bernoulli(), "Either `probs` or `logits`"),
        (lambda: d.Bernoulli(0.5, logits=0.0), "Either `probs` or `logits`"),
        (lambda: d.Uniform(1.0, 0.0), "Expected parameter low"),
        (lambda: d.Dirichlet(T(1.0)), "at least one-dimensional"),
        (lambda: d.Categorical(T(1.0)), "at least one-dimensional"),
        (lambda: d.Normal(0.0, 1.0).log_prob(T(math.nan)), r"to be within the support \(Real\(\)\)"),
        (lambda: d.Normal(0.0, 1.0).log_prob(1.0), "must be a Tensor"),
        (lambda: d.Categorical(mt.ones(3)).log_prob(T(3)), "IntegerInterval"),
        (lambda: d.Normal(mt.zeros(2), 1.0).log_prob(mt.zeros(3)), "do not broadcast"),
        (lambda: d.MultivariateNormal(mt.zeros(2), -mt.eye(2)), r"PositiveDefinite\(\)"),
        (lambda: d.MultivariateNormal(mt.zeros(2)), "Exactly one"),
        (lambda: d.Multinomial(3, mt.ones(2)).log_prob(T([5.0, 0.0])), "support"),
        (lambda: d.Independent(d.Normal(0.0, 1.0), 1), "reinterpreted_batch_ndims"),
        (lambda: d.Normal("a", 1.0), "a number or a tensor"),
    ],
)
def test_what_makes_no_sense_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_checks_can_be_left_out():
    assert d.Uniform(0.0, 1.0, validate_args=False).log_prob(T(2.0)).item() == -math.inf
    d.Distribution.set_default_validate_args(False)
    try:
        assert math.isnan(d.Normal(0.0, -1.0).entropy().item())
    finally:
        d.Distribution.set_default_validate_args(True)


def test_streams_that_are_shared_by_expanded_tensors():
    """Elements that share a place are drawn in the order of the axes (values of PyTorch 2.13)."""
    mt.manual_seed(3)
    got = mt.bernoulli(T([0.3, 0.8, 0.5]).expand(2, 3)).tolist()
    assert got == EXPANDED


def test_poisson_and_binomial_refuse():
    with pytest.raises(RuntimeError, match="a rate is negative"):
        mt.poisson(T([-1.0]))
    with pytest.raises(RuntimeError, match="outside"):
        mt.binomial(T([3.0]), T([1.5]))
    with pytest.raises(RuntimeError, match="floating"):
        mt.poisson(T([1]))


SCALAR = [
    d.ExpTransform(),
    d.AffineTransform(0.5, T(-2.0).double()),
    d.SigmoidTransform(),
    d.SoftplusTransform(),
    d.TanhTransform(),
    d.PowerTransform(T(3.0).double()),
    d.ComposeTransform([d.AffineTransform(0.0, 0.5), d.ExpTransform()]),
    d.CumulativeDistributionTransform(d.Normal(T(0.0).double(), 1.0)),
]


@pytest.mark.parametrize("t", SCALAR, ids=lambda t: type(t).__name__)
def test_a_transform_of_numbers_and_its_inverse_and_slope(t):
    x = mt.tensor([0.3, 0.9, 1.7], dtype=mt.float64, requires_grad=True)
    y = t(x)
    np.testing.assert_allclose(t.inv(y).detach().numpy(), x.detach().numpy(), rtol=1e-12)
    (slope,) = mt.autograd.grad(y.sum(), x)
    np.testing.assert_allclose(t.log_abs_det_jacobian(x, y).detach().numpy(), slope.abs().log().numpy(), rtol=1e-9)
    np.testing.assert_allclose(t.inv.log_abs_det_jacobian(y, x).detach().numpy(), -slope.abs().log().numpy(), rtol=1e-9)
    assert t.bijective
    assert float(t.sign) == float(slope[0].sign())
    assert bool(t.codomain.check(y).all())
    assert t.inv.inv(x).tolist() == y.tolist()
    assert t == t
    assert t != d.AbsTransform()


def test_stick_breaking_has_the_determinant_of_its_jacobian():
    t, x = d.StickBreakingTransform(), mt.tensor([0.3, -1.2, 0.7], dtype=mt.float64)
    y = t(x)
    assert y.sum().item() == pytest.approx(1)
    np.testing.assert_allclose(t.inv(y).numpy(), x.numpy(), rtol=1e-12)
    jacobian = mt.func.jacrev(lambda v: t(v)[:-1])(x)
    assert t.log_abs_det_jacobian(x, y).item() == pytest.approx(jacobian.det().abs().log().item())
    assert t.forward_shape((5, 3)) == (5, 4)
    assert t.inverse_shape((5, 4)) == (5, 3)


def test_a_transform_keeps_its_last_value_where_the_inverse_is_inaccurate():
    x = mt.tensor([20.0])
    kept = d.TanhTransform(cache_size=1)
    assert kept.inv(kept(x)) is x
    assert kept.inv(mt.tensor([0.0])).tolist() == [0.0]
    assert d.TanhTransform().inv(d.TanhTransform()(x)).tolist() == [math.inf]
    policy = d.TransformedDistribution(d.Normal(x, 0.1), [kept])
    action = policy.rsample()
    assert math.isfinite(policy.log_prob(action).item())
    with pytest.raises(ValueError, match="cache_size"):
        d.TanhTransform(cache_size=2)


def test_events_of_transformed_vectors():
    base = d.Independent(d.Normal(mt.zeros(3, 4), 1.0), 1)
    q = d.TransformedDistribution(base, [d.ReshapeTransform((4,), (2, 2)), d.ExpTransform()])
    assert (q.batch_shape, q.event_shape) == ((3,), (2, 2))
    x = q.sample()
    want = base.log_prob(x.log().reshape(3, 4)) - x.log().sum((1, 2))
    np.testing.assert_allclose(q.log_prob(x).numpy(), want.numpy(), rtol=1e-6)
    with pytest.raises(ValueError, match="size at least 1"):
        d.TransformedDistribution(d.Normal(0.0, 1.0), d.StickBreakingTransform())
    with pytest.raises(ValueError, match="list of Transforms"):
        d.TransformedDistribution(d.Normal(0.0, 1.0), [mt.exp])
    with pytest.raises(ValueError, match="numbers of elements"):
        d.ReshapeTransform((4,), (3,))


@pytest.mark.parametrize(
    "to",
    [
        d.constraints.positive,
        d.constraints.greater_than(2.0),
        d.constraints.less_than(1.0),
        d.constraints.unit_interval,
        d.constraints.interval(-1.0, 3.0),
        d.constraints.simplex,
        d.constraints.lower_cholesky,
        d.constraints.positive_definite,
        d.constraints.real_vector,
    ],
    ids=repr,
)
def test_all_numbers_go_into_a_set(to):
    x = mt.linspace(-1.0, 1.0, 9).reshape(3, 3)
    assert bool(to.check(d.transform_to(to)(x)).all())
    with pytest.raises(NotImplementedError, match="Boolean"):
        d.biject_to(d.constraints.boolean)


def test_relaxed_classes_have_gradients_and_near_one_at_low_temperatures():
    mt.manual_seed(0)
    logits = mt.zeros(3, requires_grad=True)
    x = d.RelaxedOneHotCategorical(mt.tensor(0.01), logits=logits).rsample((5,))
    np.testing.assert_allclose(x.max(-1).values.detach().numpy(), 1, atol=1e-2)
    (d.RelaxedOneHotCategorical(mt.tensor(1.0), logits=logits).rsample() * T([1.0, 2.0, 3.0])).sum().backward()
    assert logits.grad.sum().item() == pytest.approx(0, abs=1e-6)
    assert logits.grad.abs().sum().item() > 0
    hard = d.OneHotCategoricalStraightThrough(logits=logits).rsample()
    assert sorted(hard.tolist()) == [0, 0, 1]
    (g,) = mt.autograd.grad((hard * T([1.0, 2.0, 3.0])).sum(), logits)
    np.testing.assert_allclose(g.numpy(), [-1 / 3, 0, 1 / 3], atol=1e-6)


def test_a_mixture_has_the_moments_and_draws_of_its_parts():
    parts = d.Normal(T([-2.0, 3.0]), T([0.5, 1.0]))
    q = d.MixtureSameFamily(d.Categorical(T([1.0, 3.0])), parts)
    assert q.mean.item() == pytest.approx(1.75)
    assert q.variance.item() == pytest.approx(0.25 * (0.25 + 14.0625) + 0.75 * (1 + 1.5625))
    assert q.cdf(T(50.0)).item() == pytest.approx(1)
    mt.manual_seed(0)
    assert q.sample((20_000,)).mean().item() == pytest.approx(1.75, abs=0.05)
    with pytest.raises(ValueError, match="3 probabilities, but 2 components"):
        d.MixtureSameFamily(d.Categorical(mt.ones(3)), parts)
