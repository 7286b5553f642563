package coordinator

import (
	"reflect"
	"testing"
	"time"
	"unsafe"
)

// full returns a Record all of whose fields are set, those of a later day too.
func full(t *testing.T) Record {
	var r Record
	fill(t, reflect.ValueOf(&r).Elem())
	return r
}

func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("text")
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint64:
		v.SetUint(7)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(t, v.Index(0))
	case reflect.Map: // of unknown fields, which is not exported
		*(*map[string]string)(v.Addr().UnsafePointer()) = map[string]string{"later": "version"}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	default:
		t.Fatalf("a field of type %s: teach this test and memory.go about it", v.Type())
	}
}

// TestMemoryForgetsNothing takes the fields from a record one by one, so that a
// field that memory knows nothing of is missed.
func TestMemoryForgetsNothing(t *testing.T) {
	check := func(what string, r Record) {
		t.Helper()
		kept := memorize(r)
		if got := kept.record(); !reflect.DeepEqual(got, r) {
			t.Errorf("%s:\n%#v\nis remembered as\n%#v", what, r.Fields(), got.Fields())
		}
	}
	check("a record that does not exist", Record{})
	check("a full record", full(t))
	plain := full(t)
	plain.Attempts, plain.DoubtAt, plain.DoubtReason, plain.Failure, plain.EarlyReports, plain.Foreign, plain.Spares, plain.Spent, plain.Unanswered, plain.unknown = nil, 0, "", Failure{}, 0, Foreign{}, nil, nil, nil, nil
	check("a record at rest", plain)
	if kept := memorize(plain); kept.whole != nil {
		t.Error("a record at rest is kept whole")
	}
	sole := Record{Lineage: plain.Lineage}
	check("a record with a lineage only", sole)
	for i := range reflect.TypeFor[Record]().NumField() {
		r := sole
		field := reflect.ValueOf(&r).Elem().Field(i)
		field = reflect.NewAt(field.Type(), field.Addr().UnsafePointer()).Elem()
		fill(t, field)
		check("a record with "+reflect.TypeFor[Record]().Field(i).Name+" only", r)
	}
}

// TestMemoryIsSmall keeps a platform's hundred thousand credentials in mind: a
// member of a group is one allocation of at most 704 bytes, a size class of the
// Go runtime, of which 8 are its own.
func TestMemoryIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(member{}); size > 696 {
		t.Errorf("a member takes %d bytes, want at most 696", size)
	}
}
