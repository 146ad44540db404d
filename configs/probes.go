package configs

import (
	"embed"
	"fmt"
	"path/filepath"
	"strings"

	"hallmark/devices/probe/recipe"
	"hallmark/station/workdir"
)

//go:embed probes/*.yaml
var recipes embed.FS

// RecipeNames returns the names of the embedded recipes for programmers.
func RecipeNames() []string { return embeddedNames(recipes, "probes") }

// Recipe returns an embedded recipe by its name, or the recipe in a file. A relative path is below base.
func Recipe(named, base string) (*recipe.Recipe, error) {
	name := "probes/" + named + ".yaml"
	text, err := recipes.ReadFile(name)
	if err == nil {
		return ParseRecipe(name, text)
	}
	if !strings.HasSuffix(named, ".yaml") {
		return nil, &ValueError{"probe", fmt.Sprintf("%.40q", named), "one of " + strings.Join(RecipeNames(), ", ") + ", or the path of a recipe", "correct it"}
	}
	path := named
	if !filepath.IsAbs(path) {
		path = filepath.Join(base, path)
	}
	if text, err = workdir.ReadCode(path); err != nil {
		return nil, fmt.Errorf("reading the recipe: %w", err)
	}
	return ParseRecipe(path, text)
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
