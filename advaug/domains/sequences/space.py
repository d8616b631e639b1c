"""Sequences: rows of token numbers that move by edits, where the corpus has seen the neighbours.

A row is (length,): numbers of tokens, then -1 to the end. A number of `size` or more is the same
token (less `size`), but frozen: it is never changed, dropped or copied to another row. Numbers
below -1 are tokens that `fit` has not seen, frozen where they are odd.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from advaug.core.norms import per_row
from advaug.core.row_random import RowRandom
from advaug.core.space import Space
from advaug.domains.sequences.bigrams import Bigrams, RaggedIndex
from advaug.domains.sequences.clauses import clauses_crossed
from advaug.domains.sequences.crossing import crossed, is_frozen, plain
from advaug.domains.sequences.grammar import Corpus, Grammar, telling_tokens
from advaug.domains.sequences.grammatical import grammatical_proposals, is_grammatical
from advaug.domains.sequences.join_rules import JoinRules
from advaug.domains.sequences.levenshtein import edit_distance
from advaug.domains.sequences.motifs import motif_of
from advaug.domains.sequences.proposals import Proposals
from advaug.domains.sequences.splicing import END, compact, keys_of, lengths, neighbours
from advaug.domains.sequences.strands import from_other_strand

TRIES = 8  # proposals for one edit,
GRAMMATICAL_TRIES = (16, 64)  # and where it must keep the grammar: more if no first one does
PLACE, KIND, TOKEN, TABLE = range(4)  # streams of random numbers for an edit
KINDS = (0.4, 0.6, 0.8)  # shares up to substitute, insert, delete; the rest are swaps
SAFE = 0.5  # share of the substitutions that are taken from the table of safe moves


@dataclass(frozen=True)
class EditSpace(Space):
    """Substitute, insert, delete, swap, and cross blocks of two rows. One unit is one edit.

    A new neighbourhood of tokens is one that the corpus holds, unless the table of safe moves
    allows the token in the place of the old one.

    Parameters
    ----------
    bigrams : Bigrams
        What the corpus holds.
    safe : RaggedIndex
        For each token those that may always stand for it (-1: it may be left out); the last list
        holds tokens that may be put in anywhere.
    most : int
        Edits a row at most.
    share : float
        And at most this share of its tokens (one is always allowed).
    keeps_length : bool
        Only substitutions and swaps, and blocks cross in place.
    crosses : bool
        Whether rows take over blocks of others.
    join_rules : JoinRules, optional
        Which tokens stay two where the corpus has not seen them side by side; None: all do.
    corpus : Corpus, optional
        What a grammar is learnt from; None: the rows have none.
    grammar : Grammar, optional
        Edits and crossings keep it; see `keep_structure`.
    is_aligned : bool
        Whether a place means the same in all rows.
    motif : int Tensor (length,), optional
        A token that stays where it stands in its place, -1 for places without one.
    complement : int Tensor (tokens,), optional
        Each token on the other strand, -1 where there is none; None: rows are no double strands.
    """

    is_euclidean: ClassVar[bool] = False
    bigrams: Bigrams
    safe: RaggedIndex
    most: int
    share: float
    keeps_length: bool = False
    crosses: bool = True
    join_rules: JoinRules | None = None
    corpus: Corpus | None = field(default=None, repr=False)
    grammar: Grammar | None = field(default=None, repr=False)
    is_aligned: bool = False
    motif: Int[Tensor, " length"] | None = None
    complement: Int[Tensor, " tokens"] | None = field(default=None, repr=False)

    @property
    def norm(self) -> float:
        """Edits add up."""
        return 1.0

    @property
    def size(self) -> int:
        """How many tokens are known."""
        return self.bigrams.size

    def displacement_space(self) -> Self:
        return self

    def keep_structure(self) -> Self:
        """The same space, but edits and crossings keep the grammar of texts.

        Content words give way to words of their class where the corpus knows what stands on both
        sides; function words, numbers, addresses, signs and white space stay. Rows cross at the
        borders of sentences and clauses. Other kinds of rows have no grammar.
        """
        if self.corpus is None:
            return self
        return replace(self, grammar=self.corpus.grammar.to(self.bigrams.pairs.device))

    def hold_typical_values(self, own: Tensor, others: Tensor) -> Self:
        """The same space, with what is typical of the class held.

        Where edits keep the grammar, no word that tells the class is replaced by another of its
        word class. In aligned rows a token stays in its place where nearly all rows of the class
        have it and the others do not.
        """
        rows = self.plain(own.long()), self.plain(others.long())
        if self.is_aligned and len(own):
            return replace(self, motif=motif_of(*rows))
        if self.grammar is None:
            return self
        return replace(self, grammar=self.grammar.hold_words(telling_tokens(*rows, self.size)))

    def plain(self, x: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "*shape"]:
        """Tokens without their mark of being frozen."""
        return plain(x, self.size)

    def is_frozen(self, x: Int[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
        """Tokens that may not be touched."""
        return is_frozen(x, self.size)

    def stays(self, x: Int[Tensor, "batch length"]) -> Bool[Tensor, "batch length"]:
        """Tokens that are frozen, or stand in a motif of their class."""
        frozen = self.is_frozen(x)
        return frozen if self.motif is None else frozen | (self.plain(x) == self.motif)

    def budget(
        self, x: Float[Tensor, "batch length"], radius: Float[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """How many edits a row may have within a radius."""
        room = (self.share * lengths(x)).ceil().clamp(1, self.most).to(radius)
        return radius.nan_to_num(posinf=float(self.most)).clamp_min(0).minimum(room)

    def steepest(
        self,
        gradient: Float[Tensor, "batch length"],
        x: Float[Tensor, "batch length"],
        radius: Float[Tensor, " batch"],
        seed: Float[Tensor, "batch length"] | None = None,
    ) -> Float[Tensor, "batch length"]:
        """Random edits: a gradient over token numbers says nothing, it is only their seed."""
        return self.scatter(x, radius, torch.ones_like(x[0]), gradient) - x

    def mask_frozen(
        self, move: Float[Tensor, "batch length"], x: Float[Tensor, "batch length"]
    ) -> Float[Tensor, "batch length"]:
        return move.masked_fill(self.is_frozen(x.long()), 0.0)

    def projector(
        self, seed: Float[Tensor, "batch length"], radius: Float[Tensor, " batch"] | None
    ) -> Callable[[Tensor], Tensor]:
        """A row with more edits than it may have becomes its seed."""
        if radius is None or bool(radius.isinf().all()):
            return compact

        def back(x: Tensor) -> Tensor:
            x = compact(x)
            beyond = self.distance(x, seed) > radius.ceil()
            return torch.where(per_row(beyond, x), seed, x)

        return back

    def sample(
        self,
        seed: Float[Tensor, "batch length"],
        radius: Float[Tensor, " batch"],
        noise: Float[Tensor, "batch length"],
    ) -> Float[Tensor, "batch length"]:
        return self.scatter(seed, radius * noise.amax(1), torch.ones_like(seed[0]), noise)

    def snap(
        self,
        x: Float[Tensor, "batch length"],
        seed: Float[Tensor, "batch length"],
        radius: Float[Tensor, " batch"],
        noise: Float[Tensor, "batch length"],
    ) -> Float[Tensor, "batch length"]:
        """Whole numbers without a gap: edits are whole, so no row is ever between two."""
        return compact(x.round().clamp_max(2 * self.size - 1))

    def apply_move(
        self, x: Float[Tensor, "batch length"], move: Float[Tensor, "batch length"]
    ) -> Float[Tensor, "batch length"]:
        return x

    def distance(
        self, x: Float[Tensor, "batch length"], seed: Float[Tensor, "batch length"]
    ) -> Float[Tensor, " batch"]:
        """Levenshtein's edits; where more than 128 tokens in a row differ, how many these are."""
        rows, seeds = self.plain(x.long()), self.plain(seed.long())
        return edit_distance(rows, seeds, lengths(rows), lengths(seeds)).to(x)

    def scatter(
        self,
        x: Float[Tensor, "batch length"],
        size: Float[Tensor, " batch"],
        scale: Float[Tensor, " length"],
        noise: Float[Tensor, "batch length"],
    ) -> Float[Tensor, "batch length"]:
        """`size` random edits (a part of one by chance), whatever the scale."""
        random = RowRandom(keys_of(noise))
        wanted = size.nan_to_num(posinf=float(self.most)) + random.uniform(1)[:, 0]
        count = wanted.floor().minimum(self.budget(x, size.clamp_min(1).ceil()))
        rows = x.long()
        for step in range(int(count.max()) if len(count) else 0):
            going = (count > step).nonzero()[:, 0]
            rows[going] = self.edited(rows[going], random.at(step).take(going))
        return rows.to(x)

    def edited(
        self, x: Int[Tensor, "batch length"], random: RowRandom
    ) -> Int[Tensor, "batch length"]:
        """One edit a row: the first of some proposals that the corpus or the table allows."""
        moved, left = x.clone(), torch.arange(len(x), device=x.device)
        for tries in (TRIES,) if self.grammar is None else GRAMMATICAL_TRIES:
            some = random.take(left)
            proposals = self.proposals(x[left], some.at(PLACE).uniform(tries), some)
            moved[left] = proposals.made(x[left], proposals.valid.long().argmax(1))
            left = left[~proposals.valid.any(1)]
        return moved

    def proposals(
        self, x: Int[Tensor, "batch length"], place: Float[Tensor, "batch tries"], random: RowRandom
    ) -> Proposals:
        """Random edits at `place` of the way through each row, and which are allowed."""
        if self.grammar is not None:
            return grammatical_proposals(
                x,
                place,
                random,
                self.grammar,
                self.safe,
                size=self.size,
                keeps_length=self.keeps_length,
            )
        streams = (random.at(one) for one in (KIND, TOKEN, TABLE))
        kind, token, table = (one.uniform(place.shape[1]) for one in streams)
        if self.keeps_length:
            kind = torch.where(kind < 0.75, 0.0, 1.0)
        puts, inserts, deletes = kind < KINDS[1], kind >= KINDS[0], kind >= KINDS[1]
        swaps = kind >= KINDS[2]
        inserts, deletes = inserts & puts, deletes & ~swaps
        count = lengths(x)[:, None]
        start = (place * (count + inserts.long() - swaps.long())).long().clamp_min(0)
        around, stays = neighbours(x), neighbours(self.stays(x).long()) == 1
        at, then = (around.gather(1, start + k) for k in (1, 2))
        at_stays, then_stays = (stays.gather(1, start + k) for k in (1, 2))
        codes, seen = self.bigrams.codes(self.plain(around)), self.bigrams.seen_codes
        before_code, at_code, then_code, last_code = (codes.gather(1, start + k) for k in range(4))
        new = self.bigrams.after_codes(before_code, token)
        new_code = self.bigrams.codes(new)
        fits = seen(before_code, new_code) & (new != self.plain(at))
        fits &= seen(new_code, torch.where(inserts, at_code, then_code))
        safe = self.safe.draw(torch.where(inserts, self.size, self._known(at)), token, -2)
        is_safe = puts & (table < SAFE) & (safe > -2)
        new, fits = torch.where(is_safe, safe, new), (fits & puts) | is_safe
        drops = deletes | (puts & (new == END))
        joins = seen(before_code, then_code)
        turns = joins & seen(then_code, at_code) & seen(at_code, last_code) & ~then_stays
        turns &= (then != END) & (self.plain(at) != self.plain(then))
        valid = torch.where(swaps, turns, torch.where(deletes, joins, fits))
        valid &= inserts | ((at != END) & ~at_stays)
        valid &= torch.where(inserts, count < x.shape[1], ~drops | (count > 1))
        return Proposals(
            start=start,
            removed=torch.where(swaps, 2, torch.where(inserts, 0, 1)),
            block=torch.stack([torch.where(swaps, then, new), at], -1),
            size=torch.where(swaps, 2, torch.where(drops, 0, 1)),
            valid=valid,
        )

    def substitutes(
        self, x: Int[Tensor, "batch length"], tries: int, random: RowRandom
    ) -> tuple[Int[Tensor, "batch length tries"], Bool[Tensor, "batch length tries"]]:
        """Tokens that may stand in the place of each, and which of them are allowed.

        All that there are, where `tries` is as large as the lists of the table and of what has
        followed the token before; else as many at even distances. At most half are the table's.
        """
        around = self.plain(neighbours(x))
        before, at, then = around[:, :-4], around[:, 1:-3], around[:, 2:-2]
        known = self._known(at)
        share = tries if not len(self.bigrams.followers.values) else max(tries // 2, 1)
        tabled = self.safe.count(known).clamp_max(share)[..., None]
        k, start = torch.arange(tries, device=x.device), random.uniform(x.shape[1])[..., None]
        is_tabled = k < tabled
        lot = torch.where(is_tabled, k + start, k - tabled + start)
        lot = lot / torch.where(is_tabled, tabled, tries - tabled).clamp_min(1)
        wide = [one[..., None].expand_as(lot) for one in (before, at, then, known)]
        safe = self.safe.draw(wide[3], lot, -2)
        if self.grammar is None:
            follower = self.bigrams.after(wide[0], lot)
            fits = self.seen(wide[0], follower) & self.seen(follower, wide[2])
        else:
            follower = self.grammar.similar.draw(wide[3], lot, -2)
            fits = is_grammatical(x, follower, self.grammar, self.size)
        new = torch.where(is_tabled, safe, follower)
        valid = (is_tabled | fits) & (new >= 0) & (new != wide[1]) & (wide[1] != END)
        return new, valid & ~self.stays(x)[..., None]

    def seen(
        self, before: Int[Tensor, "*shape"], after: Int[Tensor, "*shape"]
    ) -> Bool[Tensor, "*shape"]:
        """Whether two tokens, frozen or not, have been neighbours."""
        return self.bigrams.seen(self.plain(before), self.plain(after))

    def stay_apart(
        self, left: Int[Tensor, "*shape"], right: Int[Tensor, "*shape"]
    ) -> Bool[Tensor, "*shape"]:
        """Whether two tokens side by side stay two: seen so, or never run together."""
        rules = self.join_rules or JoinRules.free(self.size).to(left.device)
        return self.seen(left, right) | rules.keep_apart(self.plain(left), self.plain(right))

    def anywhere(self) -> Int[Tensor, " some"]:
        """Tokens of the table that may be put in anywhere."""
        first, last = self.safe.first[self.size], self.safe.first[self.size + 1]
        return self.safe.values[int(first) : int(last)]

    def _known(self, x: Tensor) -> Tensor:
        """Tokens as places in the table of safe moves, where unknown ones have no list."""
        plain = self.plain(x)
        return torch.where(plain >= 0, plain, self.size + 1)

    def mix(
        self,
        seed: Float[Tensor, "batch length"],
        other: Float[Tensor, "batch length"],
        share: Float[Tensor, " batch"],
    ) -> Float[Tensor, "batch length"]:
        """A block of the other row in the place of one of the seed's, as long a share of each."""
        child = seed
        if not bool((share > 0).any()):
            return child
        if self.crosses and self.grammar is not None:
            child = clauses_crossed(seed, other, share, self.grammar, self.size)
        elif self.crosses:
            child = crossed(
                seed,
                other,
                share,
                self.bigrams,
                keeps_length=self.keeps_length,
                stays=self.stays(seed.long()),
            )
        if self.crosses and self.complement is not None:
            child = from_other_strand(seed, child, share, self.complement, self.stays(seed.long()))
        child = torch.where((share > 0)[:, None], child, seed)
        return torch.where((share >= 1)[:, None], other, child)
