package config

import (
	"strings"

	"github.com/mintonce/mintonce/sealedstore"
)

// Seal says how tokens are encrypted in the store and in the fallback.
type Seal struct {
	KeyFile string // made by "mintonce seal-key"; empty: they are not
}

// maxSealKeys bounds a key file. A key takes some 250 bytes of it.
const maxSealKeys = 64 << 10

// SealKeys reads the keys that seal tokens; nil if none are to. The warning, if
// any, is about who else may read them.
func (c *Config) SealKeys() (keys *sealedstore.Keys, warning string, err error) {
	const key = "seal.key_file"
	if c.Seal.KeyFile == "" {
		return nil, "", nil
	}
	text, warning, err := c.readPrivate(key, c.Seal.KeyFile, "keys that mintonce seal-key makes", maxSealKeys)
	if err != nil {
		return nil, "", err
	}
	if keys, err = sealedstore.ParseKeys([]byte(text)); err != nil {
		problem := strings.TrimPrefix(err.Error(), "sealedstore: ")
		return nil, "", c.wrong(key, "cannot be used: "+c.Seal.KeyFile+" ("+problem+")", "make one with: mintonce seal-key FILE; never replace the only copy of a key that has sealed something")
	}
	return keys, warning, nil
}
