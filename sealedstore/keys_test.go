package sealedstore_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"

	"github.com/mintonce/mintonce/sealedstore"
)

func TestKeyFile(t *testing.T) {
	keys := newKeys(t)
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := keys.WriteFile(file); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	again, err := sealedstore.ReadKeys(file)
	if err != nil || again.Primary() != keys.Primary() || again.String() != keys.String() {
		t.Errorf("read %v, %v; want %v", again, err, keys)
	}
	if _, err := sealedstore.ReadKeys(file + ".none"); err == nil {
		t.Error("a missing file was read")
	}
	data, _ := keys.Marshal()
	var set struct {
		Key []struct {
			KeyData struct{ Value string } `json:"keyData"`
		} `json:"key"`
	}
	if err := json.Unmarshal(data, &set); err != nil || len(set.Key) != 1 {
		t.Fatal(err, set)
	}
	secret := set.Key[0].KeyData.Value
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if shown := fmt.Sprintf(verb, keys); shown != "key "+keys.Primary()+" seals" || strings.Contains(shown, secret) {
			t.Errorf("%s prints %s", verb, shown)
		}
	}
}

// tink is the JSON of a keyset with one key of a template.
func tink(t *testing.T, template *tinkpb.KeyTemplate) []byte {
	t.Helper()
	handle, err := keyset.NewHandle(template)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&text)); err != nil {
		t.Fatal(err)
	}
	return []byte(text.String())
}

func TestParseKeys(t *testing.T) {
	good, err := newKeys(t).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		data []byte
		says string // empty: fine
	}{
		"ours":         {good, ""},
		"of Tink":      {tink(t, aead.AES256GCMKeyTemplate()), ""},
		"for MAC":      {tink(t, mac.HMACSHA256Tag256KeyTemplate()), "not for AEAD"},
		"no prefix":    {tink(t, aead.AES256GCMNoPrefixKeyTemplate()), "has not the prefix of Tink"},
		"nothing":      {nil, "not a keyset"},
		"no JSON":      {[]byte("hunter2"), "not a keyset"},
		"other JSON":   {[]byte(`{"hunter2":1}`), "not a keyset"},
		"no keys":      {[]byte(`{"primaryKeyId":1,"key":[]}`), ""},
		"half":         {good[:len(good)/2], "not a keyset"},
		"a wrong key":  {[]byte(strings.Replace(string(good), `"value":"`, `"value":"AAAA`, 1)), "not a keyset"},
		"no primary":   {[]byte(strings.Replace(string(good), `"primaryKeyId":`, `"primaryKeyId":1`, 1)), ""},
		"far too long": {[]byte(strings.Repeat(" ", 65<<10)), "more than"},
	} {
		keys, err := sealedstore.ParseKeys(test.data)
		if name == "no keys" || name == "no primary" {
			if err == nil {
				t.Errorf("%s was accepted: %v", name, keys)
			}
			continue
		}
		if (err == nil) != (test.says == "") || err != nil && (!strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: %v, want %q", name, err, test.says)
		}
	}
}

func TestKeysChange(t *testing.T) {
	one := newKeys(t)
	if _, err := one.Promote(); err == nil {
		t.Error("the only key was promoted")
	}
	if _, err := one.Drop(one.Primary()); err == nil || !strings.Contains(err.Error(), "promote another one first") {
		t.Errorf("the primary was dropped: %v", err)
	}
	if _, err := one.Drop("17"); err == nil || !strings.Contains(err.Error(), "the keys are "+one.Primary()) {
		t.Errorf("a key that there is not was dropped: %v", err)
	}
	two, err := one.Add()
	if err != nil {
		t.Fatal(err)
	}
	if want := "key " + one.Primary() + " seals, " + two.Names()[1] + " open as well"; two.String() != want {
		t.Errorf("%s, want %s", two, want)
	}
	three, err := two.Promote()
	if err != nil || three.Primary() != two.Names()[1] || len(three.Names()) != 2 {
		t.Errorf("%v, %v", three, err)
	}
	if len(one.Names()) != 1 || two.Primary() != one.Primary() {
		t.Error("a change has changed the keys before it")
	}
}
