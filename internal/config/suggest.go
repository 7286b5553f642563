package config

import (
	"maps"
	"slices"
	"strings"
)

// suggest names the known key that was probably meant, or all of them. Of those
// that are equally like it, it is one of those that are missed.
func suggest[V any](key string, known map[string]V, missed ...string) string {
	best, distance := "", 3
	for _, candidate := range slices.Sorted(maps.Keys(known)) {
		d := edits(strings.ToLower(key), candidate)
		if d < distance || d == distance && best != "" && slices.Contains(missed, candidate) && !slices.Contains(missed, best) {
			best, distance = candidate, d
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	if key == "secret" {
		return "a secret does not belong into this file; name a file with secret_file"
	}
	const enough = 20
	keys := slices.Sorted(maps.Keys(known))
	if len(keys) > enough {
		keys = append(keys[:enough], "...")
	}
	return "the keys are " + strings.Join(keys, ", ")
}

// edits is how many letters must be changed, added or removed to make b of a
// (the Levenshtein distance).
func edits(a, b string) int {
	if max(len(a), len(b)) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
