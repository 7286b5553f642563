package storetest_test

import (
	"testing"
	"testing/synctest"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

func memoryFixture(testing.TB) storetest.Fixture {
	m := storetest.NewMemory()
	return storetest.Fixture{
		Open:     func(testing.TB) coordinator.Store { return m },
		WriteRaw: func(_ testing.TB, name string, fields map[string]string) { m.WriteRaw(name, fields) },
		Flush:    func(testing.TB) { m.Flush() },
		DropLock: func(_ testing.TB, name string) { m.DropLock(name) },
	}
}

func TestMemory(t *testing.T) {
	storetest.Run(t, memoryFixture)
}

func TestMemoryInBubble(t *testing.T) {
	storetest.RunWithin(t, synctest.Test, memoryFixture)
}
