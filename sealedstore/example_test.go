package sealedstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
	"github.com/mintonce/mintonce/sealedstore"
)

func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "seal-keys.json")
	made, err := sealedstore.NewKeys() // once, as "mintonce seal-key" does
	if err == nil {
		err = made.WriteFile(file)
	}
	if err != nil {
		fmt.Println(err)
		return
	}

	keys, err := sealedstore.ReadKeys(file)
	if err != nil {
		fmt.Println(err)
		return
	}
	plain := storetest.NewMemory() // usually a redisstore.Store
	tokens, err := coordinator.New("shop", fixed{}, sealedstore.New(plain, keys), coordinator.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := tokens.Token(context.Background())
	stored, _, _ := plain.Load(context.Background(), "shop")
	fmt.Println(token.Value, err)
	fmt.Println(strings.HasPrefix(stored.Grant.Value, "sealed:"+keys.Primary()+":"), stored.Grant.Reason)
	// Output:
	// a-token <nil>
	// true no token
}

// fixed is a source that always has the same token.
type fixed struct{}

func (fixed) Traits() coordinator.Traits {
	return coordinator.Traits{Kind: coordinator.Idempotent}
}

func (fixed) Mint(context.Context, coordinator.Token) (coordinator.Token, error) {
	return coordinator.NewToken("a-token", time.Now().Add(time.Hour)), nil
}
