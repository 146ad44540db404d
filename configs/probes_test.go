package configs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/devices/probe/recipe"
)

func TestEmbeddedRecipesLoadAndSayThatNoHardwareWasThere(t *testing.T) {
	names := RecipeNames()
	if len(names) < 7 {
		t.Errorf("only %v", names)
	}
	for _, name := range names {
		described, err := Recipe(name, ".")
		if err != nil || described.Name != name || described.Tested != "not run on hardware" || described.Source == "" {
			t.Errorf("%s: %+v, %v", name, described, err)
		}
	}
}

func TestRecipesAreRead(t *testing.T) {
	dir := t.TempDir()
	text, err := recipes.ReadFile("probes/pyocd.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"own.yaml": string(text), "key.yaml": string(text) + "verison: {}\n", "twice.yaml": string(text) + "name: x\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, recipe string
		want         error
		says         string
	}{
		{"an embedded one", "pyocd", nil, ""},
		{"a file", "own.yaml", nil, ""},
		{"a name that is none", "pyodc", ErrValue, "esptool"},
		{"a file that is not there", "none.yaml", os.ErrNotExist, "none.yaml"},
		{"an unknown key", "key.yaml", ErrUnknownKey, `it looks like "version", which is there in line`},
		{"a duplicate key", "twice.yaml", ErrDuplicateKey, "keep one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Recipe(c.recipe, dir); !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %v that says %q", err, c.want, c.says)
			}
		})
	}
	if _, err := ParseRecipe("r.yaml", []byte("name: x\noperations: {flash: [{args: [x], sucess: [y]}]}\n")); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("an unknown key in a step: %v", err)
	}
	if _, err := ParseRecipe("r.yaml", []byte("name: x\n")); !errors.Is(err, recipe.ErrRecipe) {
		t.Errorf("an empty recipe: %v", err)
	}
}
