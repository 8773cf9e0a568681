module example/{{name}}

go 1.24

require clickmill v0.0.0

// The SDK as the clickmill that made this project has it: of clickmill {{clickmill}}.
replace clickmill => ./sdk
