package configs

import (
	"embed"
	"fmt"
	"path/filepath"
	"strings"

	"hallmark/devices/probe"
	"hallmark/devices/probe/recipe"
	"hallmark/station/workdir"
)

//go:embed probes/*.yaml
var recipes embed.FS

// RecipeNames returns the names of the embedded recipes for programmers.
func RecipeNames() []string { return embeddedNames(recipes, "probes") }

// Recipe returns an embedded recipe by its name, or the recipe in a file. A relative path is below base.
func Recipe(named, base string) (*recipe.Recipe, error) {
	name, text, err := recipeText(named, base)
	if err != nil {
		return nil, err
	}
	return ParseRecipe(name, text)
}

// RecipeText returns the text of a recipe.
func RecipeText(named, base string) ([]byte, error) {
	_, text, err := recipeText(named, base)
	return text, err
}

func recipeText(named, base string) (name string, text []byte, err error) {
	name = "probes/" + named + ".yaml"
	if text, err = recipes.ReadFile(name); err == nil {
		return name, text, nil
	}
	if !strings.HasSuffix(named, ".yaml") {
		return "", nil, &ValueError{"probe", fmt.Sprintf("%.40q", named), "one of " + strings.Join(RecipeNames(), ", ") + ", or the path of a recipe", "correct it"}
	}
	path := named
	if !filepath.IsAbs(path) {
		path = filepath.Join(base, path)
	}
	if text, err = workdir.ReadCode(path); err != nil {
		return "", nil, fmt.Errorf("reading the recipe: %w", err)
	}
	return path, text, nil
}

// FitsBay refuses a recipe that no bay could use, whichever serial number its probe has.
func FitsBay(described *recipe.Recipe) error {
	return described.CheckBay(probe.Selection{Serial: "1"})
}

// ParseRecipe reads a recipe. Its own package checks the values.
func ParseRecipe(name string, text []byte) (*recipe.Recipe, error) {
	var described recipe.Recipe
	if err := Decode(name, text, &described); err != nil {
		return nil, err
	}
	if err := described.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &described, nil
}
