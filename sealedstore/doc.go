// Package sealedstore keeps tokens encrypted at rest: a [coordinator.Store]
// around another one, in which whoever can read Redis or its backups, or the
// files of a machine, finds everything about a token but the token.
//
//	keys, err := sealedstore.ReadKeys("seal-keys.json") // made by: mintonce seal-key seal-keys.json
//	store := sealedstore.New(redisstore.New(client, redisstore.Config{}), keys)
//
// It seals Grant.Value, the token, and Grant.State, the refresh token, each as
// "sealed:KEY:..." with the name of the key in front. All other fields stay
// readable. Encryption is that of Tink (https://developers.google.com/tink): an
// AEAD, XChaCha20-Poly1305 for keys that this package makes, with the record's
// name and the field as associated data, so that a sealed text that is copied to
// another record or field does not open. It is against reading: somebody who can
// write to the store can still put an older record back, or a token of his own.
//
// # Keys
//
// [Keys] is a Tink keyset in its JSON form: one primary key, which seals, and any
// number that only open. Rotation is a new primary. Where several processes do
// not get the new file at the same moment, it takes two steps, and nothing is
// ever unreadable: [Keys.Add] a key and give the file to all, then
// [Keys.Promote] it and give the file to all again. A record is sealed anew with
// every write, so that an old key can be dropped once each token has been minted
// again.
//
// # What a process meets
//
//	a record that is not sealed         is read, and sealed by the next write
//	sealed with a key that it has       is opened, and sealed with the primary by the next write
//	sealed with a key that it lacks     is returned as it is: a coordinator neither uses nor overwrites it, and says
//	                                    which key is missing (coordinator.SealedError); it goes on serving what it has
//	sealed, but does not open           coordinator.ErrBadRecord: it was changed, or comes from another record
//
// So a wrong or missing key file never leads to a mint, nor to a lost token. A
// process without this package treats a sealed record in the same way.
package sealedstore
