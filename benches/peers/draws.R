# Multiple imputations by R's mice, in the long form that `lacuna impute -m` writes: .imp, .id, then the columns.
#   Rscript benches/peers/draws.R IN.csv SCHEMA.json OUT.csv [m = 20] [method = pmm] [rows = all]
# Levels (the kinds of the schema that `lacuna schema` writes) are factors. With fewer rows than all, the first ones.
suppressMessages(library(mice))
args <- commandArgs(TRUE)
m <- if (length(args) > 3) as.integer(args[4]) else 20
method <- if (length(args) > 4) args[5] else "pmm"
rows <- if (length(args) > 5) as.integer(args[6]) else -1
text <- paste(readLines(args[2], warn = FALSE), collapse = " ")
columns <- regmatches(text, gregexpr("\\{[^{}]*\"kind\"[^{}]*\\}", text))[[1]]
field <- function(x, name) sub(paste0(".*\"", name, "\"\\s*:\\s*\"([^\"]*)\".*"), "\\1", x)
kind <- setNames(field(columns, "kind"), field(columns, "name"))
table <- read.csv(args[1], colClasses = "character", check.names = FALSE, na.strings = "", nrows = rows)
names <- names(table)
numbers <- kind[names] %in% c("continuous", "positive", "count")
table[numbers] <- lapply(table[numbers], as.numeric)
table[!numbers] <- lapply(table[!numbers], factor)
names(table) <- paste0("c", seq_along(names))
start <- Sys.time()
draws <- mice(table, m = m, method = method, maxit = 5, printFlag = FALSE, seed = 1)
seconds <- as.numeric(Sys.time() - start, units = "secs")
long <- complete(draws, "long")[, c(".imp", ".id", names(table))]
names(long) <- c(".imp", ".id", names)
write.csv(long, args[3], row.names = FALSE, quote = TRUE, na = "")
cat(sprintf("mice %s %s, m = %d: %.0f s\n", packageVersion("mice"), method, m, seconds))
