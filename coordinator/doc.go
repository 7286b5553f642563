// Package coordinator lets any number of processes share one provider token,
// mint it once, and survive what can go wrong in between.
//
//	c, err := coordinator.New("shop", source, store, coordinator.Config{})
//	tok, err := c.Token(ctx)               // nanoseconds, no network, while the local copy is good
//	err = c.Report(ctx, tok.Value, cause)  // the provider rejected exactly this token
//	tok, err = c.Rotate(ctx)               // an operator wants a new one
//	err = c.Run(ctx)                       // optional: keep it fresh ahead of time
//
// # The problem
//
// At some providers, each mint ends the token before it (WeChat's
// /cgi-bin/token), or spends the refresh token that it was made with. Such a
// provider cannot check a fencing token. So a lock is not enough, and neither
// is a lock with a fenced write: a process that takes the lock, is paused
// before it sends, and wakes up after the lock has lapsed, mints last. Its
// fenced write is refused, and the store goes on serving a token that the
// provider has just killed.
//
// Here, the lock is an optimisation that keeps mints rare. Safety comes from a
// record that knows what it does not know.
//
// # The record
//
// A credential has one [Record] in the [Store]. It holds the token, the set of
// mint attempts that were announced and not resolved, whether the token is in
// doubt and since when, and the lineage of writes that it descends from. It
// changes by compare-and-swap only, through pure functions:
//
//		                 ┌──────────────────────── due, doubted, expired or missing
//		                 ▼
//		at rest ──► lock, look again ──► Begin ──► send ──► Commit ──► at rest
//		   ▲                               │         │         │
//		   │                               │         │         └─ overlapped ──► Doubt
//		   │                               │         ├─ refused ──► Abandon, Fail
//		   │                               │         └─ no answer: the attempt stays
//		   │                               └─ a crash: the attempt stays
//		   │                                              │ past its deadline
//		   └───────────────── mint ◄── doubt ◄────────────┴──── Expire, by anyone
//
//	  - Begin is written before anything is sent. So a successor always knows
//	    that somebody may have minted. Its compare-and-swap looks again: it
//	    succeeds only on the record that was decided on.
//	  - Commit stores a token only if nobody committed since its attempt began,
//	    and clears only doubt that is older than the attempt. Otherwise the mints
//	    overlapped and the provider's order is unknown: doubt.
//	  - Expire turns an attempt that passed its deadline into doubt. Nobody knows
//	    whether it minted.
//	  - Abandon removes an attempt that certainly minted nothing.
//	  - A report doubts the token if it is the current one and not too young.
//	  - [Record.Plan] decides, before locking and again after, whether a mint is
//	    needed now. While a usable token exists and another attempt is
//	    unresolved, it says to wait: one mint instead of two.
//
// # Losing writes
//
// A store can be flushed, or fail over to a copy that lacks the newest writes.
// Each process remembers the last record that it saw or wrote. Before every
// write, and whenever it looks, it compares lineages, as git does with
// branches ([Reconcile]):
//
//   - The store's record descends from mine: take it.
//   - Mine descends from the store's, or the store has none: put mine back. No
//     doubt, no mint.
//   - Neither: a fork. Keep the token that was committed later, and doubt it,
//     unless nothing can have been minted on either side.
//
// A commit that could not be saved is nothing special: it is a memory that is
// ahead of the store. So is the last-known-good copy of Config.Fallback.
//
// # Who is authoritative
//
//   - The record, for everything that processes share. Hints (see [Watcher])
//     only say when to look.
//   - The store's clock, for all times. A load returns record and clock
//     together. The reader counts down on its own monotonic clock from the
//     moment at which it sent the load, so that it stops early rather than
//     late; where wall clocks of replicas stand never matters. A token's life
//     counts from the moment at which the mint's request was sent.
//   - The wall clock, for one thing: when it runs ahead of the monotonic one,
//     the machine may have been suspended. Then the store is heard again before
//     a token is served that may be over.
//   - The provider, for which token is live. Only a rejection of the current
//     token tells that the record is wrong without knowing it.
//
// # Leases
//
// A lock that can lapse is trusted until its last renewal was sent, plus its
// time to live, less a margin. The context of the mint ends with that trust.
// Nothing depends on it: it only keeps two mints from overlapping often.
//
// # What a process does
//
// All work on a credential is one flight at a time per process, detached from
// the callers: they wait with their own contexts, and a mint under way is
// committed whatever becomes of them. Token returns the local copy as long as
// it is valid, and starts a flight in the background when something is due.
// Run does the same ahead of time, woken by hints.
//
// # Failures, and what then happens
//
//	holder killed in mid-mint       the lock lapses; the successor mints; the open attempt becomes doubt; at most 3 mints
//	holder paused, mints late       its commit is late: doubt, one more mint, inside the provider's overlap
//	provider does not answer        the attempt stays and becomes doubt; never "failed, try again at once"
//	provider refuses                shared back-off by class; the usable token is kept
//	reply of a write lost           the same write again succeeds; otherwise reconciling finds it
//	store flushed                   any process that remembers puts the record back: no mint
//	store rolled back               the same; if somebody wrote meanwhile: a fork, one mint
//	store away                      served until its true end; nobody mints without the lock unless the source is idempotent
//	store refuses to write          what it still tells is served; otherwise as if it were away
//	commit not saved                served by this process, kept in the fallback, saved by the next look
//	rejected, store away            the report waits for the store, as long as its caller does
//	1,000 late rejections           answered from memory: nothing happens
//	a stranger mints                found by a rejection that no mint of ours explains; named from the second on; spaced out
//	caller goes away                the mint is finished and committed all the same
//	machine suspended               noticed within 10 ms of calls, 30 s of Run; an expired token waits for the store
//
// # Rotating refresh tokens
//
// A rotating source spends a refresh token with each mint. An attempt without
// an answer may have spent it, so it is retried at once with the same one, once,
// inside the provider's grace. If the first answer comes after all, there are two
// refresh tokens, and the provider may accept both, or only the one that it
// issued last. So a late commit drops neither: Record.Spares keeps what the
// overlap brought, and a refusal turns to the next ([Record.Refused]), as an
// attempt does that is given up: its refresh token may be spent, which
// Record.Unanswered remembers. A commit that settles the doubt settles that, too.
//
// Past the grace, many providers take the use of a spent refresh token for
// theft, and end all that descends from the same login. So one that has brought
// another is never tried again: Record.Spent knows it, on both sides of a fork.
//
// # Strangers
//
// Somebody outside who mints with the same credential ends our token and tells
// nobody. All that is seen of it is a rejection of the current token that no
// mint of ours explains: nothing is in doubt, no attempt is open, and the token
// is not due yet. It may also be a mistake of a caller, so the first one within
// six hours is healed at once and no more than suspected ([Foreign]). From the
// second on, the foreign minter is named, in events and [Status], and the mints
// that rejections ask for are spaced out: the time from mint to mint doubles,
// from a minute to five, or to the provider's overlap where that is longer. Two
// systems that mint as soon as their token is rejected are slower than that by
// themselves, so no call fails of it: each token lives on for its own overlap
// and the other's. A stranger who mints faster kills every token in minutes; to
// keep up with it would spend the quota that both share.
// Meanwhile the doubt stays, Token returns what there is, and Report returns a
// [ForeignMinterError] at once. Doubt of our own making, a refresh that is due
// and an operator's rotation do not wait.
//
// An idempotent source is asked at once: that ends nobody's token. If it gives
// out the very token that was rejected, it vouches for it, and for a while,
// which doubles too, further reports of it are [Vouched].
//
// # What it does not do
//
// A process that is paused past its attempt's deadline, then sends, and dies
// before its answer, leaves a dead token in the record; so does a store that
// loses writes together with every process that remembers them. Only a report
// of the rejected token heals those. Nobody can keep a stranger with the same
// secret from minting.
//
// Where the second use of a rotating refresh token ends what the first one
// brought, the family of tokens is lost, and has to be authorized anew, if the
// answer to that second use is lost as well, or if the first is processed after
// it and nobody is left to take its answer. At any provider of that kind it is
// lost if no answer to a use of the last refresh token comes within the grace
// (of the last ones, where mints overlapped: which of them was spent is as
// unknown as the answer);
// if the process that has the answer dies before it can write it down, or can
// reach neither store nor fallback for longer than the grace; if the store loses
// the commit together with every process that remembers it, or for those who
// mint before it is put back; and, where a late use is taken for theft, if a
// process that was paused past its attempt's deadline then sends. Then somebody
// has to log in again, and to call Rotate, which does not wait for the back-off.
package coordinator
