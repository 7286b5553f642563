package sealedstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/mintonce/mintonce/internal/atomicfile"
)

// maxFile bounds a key file. A key takes some 250 bytes of it.
const maxFile = 64 << 10

// Keys is a primary key, which seals, and others, which only open. It is not
// changed once it is made, and prints without the keys.
type Keys struct {
	handle  *keyset.Handle
	aead    tink.AEAD
	primary string
	known   map[string]bool
}

// NewKeys makes one key.
func NewKeys() (*Keys, error) {
	handle, err := keyset.NewHandle(aead.XChaCha20Poly1305KeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("sealedstore: no key can be made: %w", err)
	}
	return fromHandle(handle)
}

// ParseKeys reads what Marshal has written, or any keyset of Tink in JSON whose
// keys are for AEAD and have Tink's prefix. Its errors quote nothing of the data.
func ParseKeys(data []byte) (*Keys, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("sealedstore: the keys take more than %d bytes", maxFile)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(data)))
	if err != nil {
		return nil, errNoKeys // Tink's text may quote the data
	}
	return fromHandle(handle)
}

var errNoKeys = errors.New("sealedstore: this is not a keyset of Tink in JSON")

func fromHandle(handle *keyset.Handle) (*Keys, error) {
	primary, err := handle.Primary()
	if err != nil {
		return nil, errors.New("sealedstore: the keyset has no primary key")
	}
	k := &Keys{handle: handle, primary: keyName(primary.KeyID()), known: make(map[string]bool)}
	for _, info := range handle.KeysetInfo().GetKeyInfo() {
		if info.GetOutputPrefixType() != tinkpb.OutputPrefixType_TINK {
			return nil, fmt.Errorf("sealedstore: key %d has not the prefix of Tink, by which a key is found", info.GetKeyId())
		}
		if info.GetStatus() == tinkpb.KeyStatusType_ENABLED {
			k.known[keyName(info.GetKeyId())] = true
		}
	}
	if k.aead, err = aead.New(handle); err != nil {
		return nil, errors.New("sealedstore: the keyset has a key that is not for AEAD")
	}
	return k, nil
}

func keyName(id uint32) string { return strconv.FormatUint(uint64(id), 10) }

// ReadKeys reads a key file.
func ReadKeys(file string) (*Keys, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("sealedstore: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("sealedstore: %w", err)
	}
	return ParseKeys(data)
}

// Marshal returns the keys as JSON. They are not protected in it: whoever has it
// can open what they have sealed.
func (k *Keys) Marshal() ([]byte, error) {
	var text bytes.Buffer
	if err := insecurecleartextkeyset.Write(k.handle, keyset.NewJSONWriter(&text)); err != nil {
		return nil, fmt.Errorf("sealedstore: %w", err)
	}
	return append(text.Bytes(), '\n'), nil
}

// WriteFile replaces a key file in one step, with permissions 0600.
func (k *Keys) WriteFile(file string) error {
	data, err := k.Marshal()
	if err != nil {
		return err
	}
	if err := atomicfile.Write(file, data); err != nil {
		return fmt.Errorf("sealedstore: %w", err)
	}
	return nil
}

// Add returns k and a new key that opens, and does not seal yet.
func (k *Keys) Add() (*Keys, error) {
	return k.changed(func(m *keyset.Manager) error {
		_, err := m.Add(aead.XChaCha20Poly1305KeyTemplate())
		return err
	})
}

// Promote returns k with the newest key as its primary. It fails if that is the
// primary already.
func (k *Keys) Promote() (*Keys, error) {
	all := k.handle.KeysetInfo().GetKeyInfo()
	newest := all[len(all)-1].GetKeyId()
	if keyName(newest) == k.primary {
		return nil, fmt.Errorf("sealedstore: key %d is the newest and seals already: add one first", newest)
	}
	return k.changed(func(m *keyset.Manager) error { return m.SetPrimary(newest) })
}

// Drop returns k without the key of this name, which then opens nothing more.
func (k *Keys) Drop(name string) (*Keys, error) {
	id, err := strconv.ParseUint(name, 10, 32)
	switch {
	case err != nil || !k.known[name]:
		return nil, fmt.Errorf("sealedstore: there is no key %.20q: the keys are %s", name, strings.Join(k.Names(), ", "))
	case name == k.primary:
		return nil, fmt.Errorf("sealedstore: key %s seals: promote another one first", name)
	}
	return k.changed(func(m *keyset.Manager) error { return m.Delete(uint32(id)) })
}

func (k *Keys) changed(change func(*keyset.Manager) error) (*Keys, error) {
	m := keyset.NewManagerFromHandle(k.handle)
	if err := change(m); err != nil {
		return nil, fmt.Errorf("sealedstore: %w", err)
	}
	handle, err := m.Handle()
	if err != nil {
		return nil, fmt.Errorf("sealedstore: %w", err)
	}
	return fromHandle(handle)
}

// Primary is the name of the key that seals.
func (k *Keys) Primary() string { return k.primary }

// Names are those of all keys that open, the oldest first.
func (k *Keys) Names() []string {
	var names []string
	for _, info := range k.handle.KeysetInfo().GetKeyInfo() {
		if name := keyName(info.GetKeyId()); k.known[name] {
			names = append(names, name)
		}
	}
	return names
}

// String says which key seals, and which others open.
func (k *Keys) String() string {
	text := "key " + k.primary + " seals"
	var others []string
	for _, name := range k.Names() {
		if name != k.primary {
			others = append(others, name)
		}
	}
	if len(others) > 0 {
		text += ", " + strings.Join(others, ", ") + " open as well"
	}
	return text
}

// Format makes every verb of package fmt print String.
func (k *Keys) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

// LogValue makes package log/slog print String.
func (k *Keys) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText makes encoding/json and its like print String.
func (k *Keys) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
