package config

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"strings"
)

// KeyPrefix begins every key that NewKey makes, so that people and the scanners
// that look for leaked secrets know one when they see it. Such a key is of the
// form mintonce_[0-9A-Za-z]{43}.
const KeyPrefix = "mintonce_"

const keyBytes, keyDigits = 32, 43 // 62 to the power of 43 is just above 2 to the power of 256

// NewKey makes a key for a client of the HTTP API: 256 random bits, in
// characters that a double-click selects and no shell changes.
func NewKey() string {
	var random [keyBytes]byte
	rand.Read(random[:]) // never fails: crypto/rand ends the process instead
	digits := new(big.Int).SetBytes(random[:]).Text(62)
	return KeyPrefix + strings.Repeat("0", keyDigits-len(digits)) + digits
}

// HashKey returns what the config keeps of a key: its SHA-256, in hex.
//
// Neither salt nor stretching, as for passwords, would add anything. They make
// guessing slow, and nobody guesses 256 random bits; but every request would
// have to pay for them.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// Keys finds clients by their keys. It is safe for concurrent use.
type Keys struct {
	salt     [sha256.Size]byte
	bySalted map[[sha256.Size]byte]*Client
}

// NewKeys returns the Keys of clients that Check has seen. It keeps pointers to
// them.
func NewKeys(clients []Client) *Keys {
	k := &Keys{bySalted: make(map[[sha256.Size]byte]*Client, len(clients))}
	rand.Read(k.salt[:])
	for i := range clients {
		if digest, err := hex.DecodeString(clients[i].KeySHA256); err == nil && len(digest) == sha256.Size {
			k.bySalted[k.salted([sha256.Size]byte(digest))] = &clients[i]
		}
	}
	return k
}

// Client returns the client whose key this is, or nil. It takes as long for ten
// thousand clients as for one, and how long it takes tells nothing of their
// keys: what is compared are hashes under a salt that nobody outside of this
// process knows, so that no guess can be aimed.
func (k *Keys) Client(key string) *Client {
	return k.bySalted[k.salted(sha256.Sum256([]byte(key)))]
}

func (k *Keys) salted(digest [sha256.Size]byte) [sha256.Size]byte {
	return sha256.Sum256(append(k.salt[:], digest[:]...))
}
