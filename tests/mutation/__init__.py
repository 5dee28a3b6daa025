"""Would a test notice?  Mutation score and branch coverage of `filterd/agreement`: `make mutants`."""
