package coordinator

import "context"

// Wrapper is a Store around another one: it measures, seals or delays, and
// leaves the rest to the store that it wraps. It usually embeds a Store, which
// passes Load, Swap and Lock through but none of the optional interfaces; [As]
// finds those past it.
//
// So a Wrapper must itself implement whatever it must not be passed by: one
// that changes records implements BulkLoader too, with [LoadAll].
type Wrapper interface {
	// Unwrap returns the store that is wrapped.
	Unwrap() Store
}

// As finds an optional interface of a Store, such as [Watcher] or [Historian],
// and is to be used in place of a type assertion: it returns the first store
// that is a T among this one, the one that it wraps, and so on.
func As[T any](store Store) (T, bool) {
	for store != nil {
		if t, ok := store.(T); ok {
			return t, true
		}
		wrapper, ok := store.(Wrapper)
		if !ok {
			break
		}
		store = wrapper.Unwrap()
	}
	var none T
	return none, false
}

// LoadAll loads the records of names as a BulkLoader does, and one after the
// other from a store that is none. It ends early, with an error, at the end of
// ctx.
func LoadAll(ctx context.Context, store Store, names []string) ([]Loaded, error) {
	if loader, ok := As[BulkLoader](store); ok {
		return loader.LoadAll(ctx, names)
	}
	all := make([]Loaded, len(names))
	for i, name := range names {
		all[i].Record, all[i].Now, all[i].Err = store.Load(ctx, name)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return all, nil
}
