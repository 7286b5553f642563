// Package feed tells what happens to tokens while it happens, to those who look.
//
// Events come from two places. What this process does, its observer hears at
// once. What other processes do is in the store's history: a hint of the store
// says whose history to read. Both tell of the same events, so each event is
// known by its contents, and published once.
//
// Where the history was read up to is known for each name by the newest entry
// that was seen. Of a name without one, those entries are new that were written
// since the feed began to follow the store, by the store's clock.
//
// Nothing is followed while nobody looks: then a process costs its store no more
// than one without a feed. The feed goes on for a while after the last
// subscriber, so that one who comes back misses nothing.
//
// Whoever publishes never waits: a subscriber who does not keep up is dropped,
// and comes back with the id of the last event that it has seen. If the feed
// cannot tell what came after that, it says that there is a gap.
package feed
