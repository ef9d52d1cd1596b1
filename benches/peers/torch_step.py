"""The training step in PyTorch, to stand beside `cargo bench --bench limit`.

    pip install torch
    python3 benches/peers/torch_step.py [--threads 2]

The same tables (20 000 x 9 numbers; 20 000 x 15 numbers and levels), networks, hiding of cells, features, linear start, bound,
clipping, Adam and running mean of the weights as in Lacuna, written the way PyTorch is fast at: every row of a batch at
once, columns of a family as one head, levels by embedding bags, fused Adam. Eager, f32. Prints rows a second:
- one network on all threads, which is how PyTorch is used;
- as many processes of one thread as there are threads, a network each, which is how Lacuna trains its members;
- without the making of the inputs (hidden cells, features, linear start): the networks, bound and update alone.
"""

import argparse
import multiprocessing
import time

import torch
import torch.nn.functional as F

RANK, CLASSES_MOST, HIDDEN_MOST, NOTHING, ENCODER_SHARE = 16, 16, 0.7, 0.4, 4
ADULT = [9, 16, 7, 15, 6, 5, 2, 42, 2]
HALF_LN_2PI = 0.9189385332046728


def table(n, numbers, levels):
    """The tables of benches/tables/mod.rs and benches/limit.rs: numbers, codes of levels, and which are observed."""
    i = torch.arange(n)[:, None]
    j = torch.arange(numbers)[None]
    a, b = (i * 7919 % 1000) / 500.0 - 1.0, (i * 104_729 % 1000) / 500.0 - 1.0
    x = torch.sin(a * (j + 1.0)) + b * torch.cos(j.float()) + (i * 31 + j * 17) % 7 / 20.0
    seen = (i * 13 + j * 5) % 10 > 1
    columns = range(len(levels))
    codes = torch.stack([i[:, 0] * 7919 // (c + 1) % levels[c] for c in columns], 1) if levels else torch.zeros(n, 0).long()
    seen_levels = torch.stack([(i[:, 0] * 11 + c * 3) % 10 > 1 for c in columns], 1) if levels else torch.zeros(n, 0).bool()
    mean = (x * seen).sum(0) / seen.sum(0)
    sd = (((x - mean) ** 2 * seen).sum(0) / seen.sum(0)).sqrt()
    return (x - mean) / sd, codes, torch.cat([seen, seen_levels], 1)


class Inputs:
    """Rows to features: encoded cells, and the row completed by a factor analysis of the table."""

    def __init__(self, n, numbers, levels):
        self.numbers, self.levels = numbers, levels
        self.x, self.codes, self.seen = table(n, numbers, levels)
        quantiles = torch.linspace(0, 1, 17)
        self.edges = torch.stack([torch.quantile(self.x[self.seen[:, j], j], quantiles) for j in range(numbers)])
        self.low, self.width = self.edges[:, :-1], (self.edges[:, 1:] - self.edges[:, :-1]).clamp(min=1e-6)
        starts = torch.tensor([0] + levels).cumsum(0)
        self.classes = int(starts[-1])
        self.first = starts[:-1]
        # Dimensions of the factor analysis: numbers, and indicators of levels that are not too many.
        self.indicators = [(c, k) for c, m in enumerate(levels) if m <= CLASSES_MOST for k in range(int(m == 2), m)]
        self.column = torch.tensor(list(range(numbers)) + [numbers + c for c, _ in self.indicators])
        self.indicator_column = torch.tensor([c for c, _ in self.indicators]).long()
        self.indicator_class = torch.tensor([k for _, k in self.indicators]).long()
        dims = len(self.column)
        self.rank = min(RANK, dims)
        # What the loadings are does not matter to the time.
        self.loading = torch.randn(dims, self.rank) * 0.3
        self.psi = torch.full((dims,), 0.5)
        self.outer = (self.loading[:, :, None] * self.loading[:, None] / self.psi[:, None, None]).reshape(dims, -1)
        self.dense = numbers * 18 + len(levels) + dims

    def hide(self, rows, encoder):
        """Which cells are observed, visible and scored; of the first `encoder` rows some see nothing."""
        seen = self.seen[rows]
        share = torch.rand(len(rows), 1) * HIDDEN_MOST
        share[:encoder][torch.rand(encoder, 1) < NOTHING] = 1.0
        order = torch.rand(seen.shape)
        # One observed cell at least is hidden.
        one = torch.where(seen, order, 2.0).argmin(1, keepdim=True)
        hide = (torch.rand(seen.shape) < share).scatter(1, one, True)
        return seen, seen & ~hide, seen & hide

    def features(self, rows, visible):
        """Dense features, levels' places (the last place is that of none), means and ln sds to start from."""
        m, d = self.numbers, self.numbers + len(self.levels)
        seen = visible[:, :m].float()
        x = self.x[rows]
        bins = ((x[:, :, None] - self.low) / self.width).clamp(0, 1)
        value = x.clamp(-6, 6)
        encoded = torch.cat([value[:, :, None], bins, torch.ones_like(value)[:, :, None]], 2) * seen[:, :, None]
        codes = self.codes[rows]
        places = torch.where(visible[:, m:], codes + self.first, self.classes)
        indicators = (codes[:, self.indicator_column] == self.indicator_class).float() - 0.2
        y = torch.cat([value, indicators], 1)
        known = visible[:, self.column].float()
        precision = torch.eye(self.rank) + (known @ self.outer).view(-1, self.rank, self.rank)
        factor = torch.linalg.cholesky(precision)
        f = torch.cholesky_solve(((known * y / self.psi) @ self.loading)[:, :, None], factor)[:, :, 0]
        completed = torch.lerp(f @ self.loading.T, y, known).clamp(-6, 6)
        w = torch.linalg.solve_triangular(factor, self.loading[:m].T.expand(len(rows), -1, -1), upper=False)
        ln_sd = 0.5 * (self.psi[:m] + (w * w).sum(1)).log()
        dense = torch.cat([encoded.flatten(1), visible[:, m:].float(), completed], 1)
        start = torch.stack([completed[:, :m], ln_sd], 1) * (1 - seen)[:, None]
        return dense, places, start


def bounded(rho, limit=4.0):
    return rho * torch.rsqrt(1 + (rho / limit) ** 2)


class Input(torch.nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.dense = torch.nn.Linear(inputs.dense, outputs, bias=False)
        self.table = torch.nn.EmbeddingBag(inputs.classes + 1, outputs, mode="sum", padding_idx=inputs.classes) if inputs.classes else None

    def forward(self, dense, places):
        out = self.dense(dense)
        return out + self.table(places) if self.table else out


class Trunk(torch.nn.Module):
    def __init__(self, width, depth=2):
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(width))
        self.layers = torch.nn.ModuleList(torch.nn.Linear(width, width) for _ in range(depth))

    def forward(self, s):
        h = F.silu(s + self.bias)
        for layer in self.layers:
            h = h + F.silu(layer(h))
        return h


class Network(torch.nn.Module):
    def __init__(self, inputs, width=256):
        super().__init__()
        d = inputs.numbers + len(inputs.levels)
        self.latent = latent = min(max(d // 2, 2), 16)
        self.numbers, levels = inputs.numbers, inputs.levels
        self.several = [c for c, m in enumerate(levels) if m > 2]
        self.two = [c for c, m in enumerate(levels) if m == 2]
        # Outputs: means, ρs, one logit of each pair of levels, the logits of the others as one padded block.
        self.most = max((levels[c] for c in self.several), default=0)
        real = [k * self.most + level for k, c in enumerate(self.several) for level in range(levels[c])]
        self.real = torch.tensor(real).long()
        outputs = 2 * self.numbers + len(self.two) + len(real)
        linear = lambda i, o: torch.nn.Linear(i, o, bias=False)
        self.encoder_in, self.encoder, self.encoder_out = Input(inputs, width), Trunk(width), torch.nn.Linear(width, 2 * latent)
        self.prior_in, self.prior, self.prior_out = Input(inputs, width), Trunk(width), torch.nn.Linear(width, 2 * latent)
        self.latent_in, self.context_in, self.decoder = linear(latent, width), linear(width, width), Trunk(width)
        self.decoder_out, self.latent_linear = torch.nn.Linear(width, outputs), linear(latent, outputs)
        self.visible_linear = Input(inputs, outputs)

    def bound(self, batch, encoder, beta):
        """The sum of the rows' bounds; the first `encoder` rows take the encoder's path."""
        (dense, places, start), observed, (x, codes), scored, visible, noise = batch
        count = visible.sum(1, keepdim=True)
        gate = count / (count + 1)
        h = self.prior(self.prior_in(dense, places))
        mean, ln_sd = (self.prior_out(h) * gate).chunk(2, 1)
        ln_sd = bounded(ln_sd)
        sd = ln_sd.exp()
        divergence = 0.0
        if encoder:
            q = self.encoder_out(self.encoder(self.encoder_in(observed[0], observed[1])))
            q_mean, q_ln_sd = q.chunk(2, 1)
            q_ln_sd = bounded(q_ln_sd)
            q_sd = q_ln_sd.exp()
            z_q = q_mean + q_sd * noise[:encoder]
            t = (z_q - mean[:encoder]) / sd[:encoder]
            e = (z_q - q_mean.detach()) / q_sd.detach()
            divergence = (0.5 * (e * e - t * t) + q_ln_sd.detach() - ln_sd[:encoder]).sum()
            z = torch.cat([z_q, mean[encoder:] + sd[encoder:] * noise[encoder:]])
        else:
            z = mean + sd * noise
        h = self.decoder(self.latent_in(z) + self.context_in(h * gate))
        eta = self.decoder_out(h) + self.latent_linear(z) + self.visible_linear(dense, places)
        m, two = self.numbers, len(self.two)
        mu, rho = eta[:, :m] + start[:, 0], bounded(eta[:, m : 2 * m] + start[:, 1])
        t = (x - mu) * (-rho).exp()
        ln_p = ((-HALF_LN_2PI - rho - 0.5 * t * t) * scored[:, :m]).sum()
        if two:
            logit = eta[:, 2 * m : 2 * m + two]
            ln_p = ln_p - (F.binary_cross_entropy_with_logits(logit, codes[:, self.two].float(), reduction="none") * scored[:, m:][:, self.two]).sum()
        if self.several:
            padded = eta.new_full((len(x), len(self.several) * self.most), -1e9)
            padded = padded.index_copy(1, self.real, eta[:, 2 * m + two :])
            ln = F.log_softmax(padded.view(len(x), len(self.several), self.most), 2)
            ln = ln.gather(2, codes[:, self.several, None])[:, :, 0]
            ln_p = ln_p + (ln * scored[:, m:][:, self.several]).sum()
        return ln_p + beta * divergence


class Training:
    def __init__(self, shape, batch):
        torch.manual_seed(0)
        self.inputs = Inputs(20_000, *shape)
        self.network = Network(self.inputs)
        self.parameters = list(self.network.parameters())
        self.mean = [p.detach().clone() for p in self.parameters]
        self.adam = torch.optim.AdamW(self.parameters, lr=2e-3, betas=(0.9, 0.99), weight_decay=0.2, fused=True)
        self.size, self.order, self.steps = batch, torch.randperm(20_000), 0

    def batch(self):
        at = self.steps * self.size % (20_000 - self.size)
        rows = self.order[at : at + self.size]
        # One shard of 128 rows in four takes the encoder's path.
        encoder = self.size // ENCODER_SHARE if self.size >= 512 else self.size * (self.steps % ENCODER_SHARE == 0)
        inputs = self.inputs
        seen, visible, scored = inputs.hide(rows, encoder)
        visible_features = inputs.features(rows, visible)
        observed = inputs.features(rows[:encoder], seen[:encoder]) if encoder else None
        noise = torch.randn(self.size, self.network.latent)
        return (visible_features, observed, (inputs.x[rows], inputs.codes[rows]), scored.float(), visible, noise), encoder

    def step(self, made=None):
        batch, encoder = made or self.batch()
        self.adam.zero_grad(set_to_none=True)
        (-self.network.bound(batch, encoder, 1.0) / self.size).backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0, foreach=True)
        self.adam.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.mean, self.parameters, 0.01)
        self.steps += 1


def rate(shape, batch, threads, made=False):
    """Rows a second of wall time and of CPU time, the best of several."""
    torch.set_num_threads(threads)
    training = Training(shape, batch)
    batches = [None] * 4
    if made:
        batches = []
        for training.steps in range(4):
            batches.append(training.batch())
    best = [0.0, 0.0]
    for _ in range(12):
        start = time.perf_counter(), time.process_time()
        for s in range(8):
            training.step(batches[s % 4])
        best = [max(b, 8 * batch / (now - then)) for b, now, then in zip(best, (time.perf_counter(), time.process_time()), start)]
    return best


def child(arguments):
    return rate(*arguments)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    threads = parser.parse_args().threads
    print(f"PyTorch {torch.__version__}, {threads} threads; rows a second (a CPU second)")
    pool = multiprocessing.get_context("spawn").Pool(threads)
    for name, shape in [("numbers, 20 000 x 9", (9, [])), ("adult-like, 20 000 x 15", (6, ADULT))]:
        for batch in [128, 512]:
            one, made = rate(shape, batch, threads), rate(shape, batch, threads, made=True)
            several = [sum(r) for r in zip(*pool.map(child, [(shape, batch, 1)] * threads, chunksize=1))]
            made_by_one = pool.map(child, [(shape, batch, 1, True)])[0]
            print(f"training step, {name}, batch {batch}:")
            print(f"  one network on {threads} threads: {one[0]:.0f} ({one[1]:.0f}); with inputs made before {made[0]:.0f} ({made[1]:.0f})")
            print(f"  {threads} networks, a thread each: {several[0]:.0f} ({several[1] / threads:.0f}); one, with inputs made before: ({made_by_one[1]:.0f})")
