package filestore_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/filestore"
)

// A store in a folder is given to coordinator.New, either as the store or, next
// to one on Redis, as Config.Fallback.
func ExampleNew() {
	dir, err := os.MkdirTemp("", "mintonce")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	files, err := filestore.New(dir, filestore.Config{})
	if err != nil {
		log.Fatal(err) // names the folder, and what to do
	}
	var store coordinator.Store = files
	record, _, err := store.Load(context.Background(), "shop")
	fmt.Println(record.Exists(), err)
	// Output: false <nil>
}
