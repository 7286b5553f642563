package coordinator

import (
	"errors"
	"fmt"
	"strings"
)

// SealedPrefix begins a Grant.Value and a Grant.State that a Store keeps sealed:
// "sealed:KEY:..." with the name of the key that opens it. A Store that has the
// key opens it before anyone sees it; any other returns it as it is, so that
// whatever does not need the token can still be told of the record.
const SealedPrefix = "sealed:"

// ErrSealed is matched by [SealedError].
var ErrSealed = errors.New("mintonce: record is sealed")

// SealedError says that the token of a record is sealed with a key that this
// process does not have. The record is neither used nor overwritten.
type SealedError struct {
	Name string // of the record
	Key  string // that it is sealed with
}

func (e *SealedError) Error() string {
	return fmt.Sprintf("mintonce: the record %q is sealed with key %s, which this process does not have: give it the key file that has this key", e.Name, e.Key)
}

// Is makes errors.Is(err, ErrSealed) true.
func (e *SealedError) Is(target error) bool { return target == ErrSealed }

// SealedBy returns the key that the token of r is sealed with, or nothing if it
// is not.
func (r Record) SealedBy() string {
	for _, text := range append([]string{r.Grant.Value, r.Grant.State}, r.Spares...) {
		if rest, ok := strings.CutPrefix(text, SealedPrefix); ok {
			key, _, _ := strings.Cut(rest, ":")
			return key
		}
	}
	return ""
}

// opened returns a *SealedError for a record that is sealed.
func (r Record) opened(name string) error {
	if !strings.HasPrefix(r.Grant.Value, SealedPrefix) && !strings.HasPrefix(r.Grant.State, SealedPrefix) && len(r.Spares) == 0 {
		return nil // as nearly always
	}
	if r.SealedBy() == "" {
		return nil
	}
	return &SealedError{Name: name, Key: r.SealedBy()}
}
