module clickmill

go 1.24
