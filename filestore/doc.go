// Package filestore is a [coordinator.Store] in a folder: the store of a single
// machine, whose processes share it, and the last-known-good copy of one that
// otherwise lives on Redis (coordinator.Config.Fallback).
//
// # What is in the folder
//
// For a credential NAME:
//
//	NAME.json     the record, readable: one text field per fact
//	NAME.history  what happened, one JSON object per line, capped
//	NAME.lock     locked by the kernel while a process mints; names the last holder
//	NAME.guard    locked by the kernel for the moment of a write; empty
//
// and for each process that is alive, an ID.instance, which says what it does.
//
// The folder is made with permissions 0700 and its files with 0600. The token
// lies in NAME.json as it is: whoever can read the file can use the token.
//
// # Writes
//
// A write takes the guard, compares, writes a temporary file in the same
// folder, syncs it, renames it to NAME.json, and syncs the folder. The rename is
// the commit: a reader, which takes no lock, sees the record before or the
// record after, whatever is killed or loses its power. A temporary file that is
// left over is never read, and is removed by the next [New].
//
// The events of a write are part of its record file until they are found in
// NAME.history, so that one rename commits both: a process that is killed
// between the two files loses no event and doubles none.
//
// # Locks
//
// Locks are the kernel's (flock, LockFileEx). They exclude other processes and
// other goroutines alike. They end with their process and at no other time, so
// the ttl is ignored and Lost never fires; a killed holder is replaced at once.
// The other side of that: a holder that is stopped (SIGSTOP, a debugger) keeps
// everybody from minting until it goes on or is killed, and one that is stopped
// in the moment of a write keeps everybody from writing. Callers are freed by
// their contexts and read on.
//
// The lock and guard files must not be deleted while processes run: another
// process would make new ones, and both sides would hold the lock.
//
// # Time
//
// The store's clock is the machine's. A step of that clock, by hand or at boot,
// moves the end of life of the tokens with it.
//
// # When something is wrong
//
// Errors name the folder or the file, and what to do. [New] fails if the folder
// cannot be written, rather than the first mint. When the disk is full, a write
// fails and the old record stays; as a mint is announced by a write, that is
// before the provider is asked.
//
// A record file that is damaged gives coordinator.ErrBadRecord, and is neither
// repaired nor overwritten: it may hold the one token that works. Move it aside
// to begin anew. The copy of a record that lives elsewhere is another matter: a
// damaged one is renamed to NAME.json.damaged-TIME, and a new one made.
//
// # What it does not promise
//
//   - Network file systems (NFS, SMB, and what containers mount from them) are
//     not supported: their locks and renames are not reliable between machines,
//     and each machine has a clock of its own. Use package redisstore.
//   - Nor are folders that a tool copies between machines.
//   - Names that differ in upper and lower case only are the same file on the
//     usual file systems of macOS and Windows. Do not use such names.
//   - A disk that hangs keeps its caller: contexts are looked at before each
//     call and while waiting for other writers, not inside the file system.
//   - Windows is not tested. There, the holder's name cannot be read while the
//     lock is held, and a record that is being read cannot be replaced.
//   - History is for people: the cap removes its oldest entries, and a power
//     failure may tear its last line, which is then left out.
package filestore
