# Golden figures of mixed models (lme4 1.1-31) and classes of growth (flexmix 2.3-18) on courses.csv; writes courses.json.
# Run in this folder: Rscript courses.R
library(lme4)
library(flexmix)
library(jsonlite)
rows <- read.csv("courses.csv")
exact <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 1e-2, rhoend = 1e-10, maxfun = 1e6))
mixed <- function(formula) {
  fit <- lmer(formula, rows, REML = FALSE, control = exact)
  size <- length(fixef(fit))
  list(
    fixed = unname(fixef(fit)), residual = sigma(fit)^2, covariance = matrix(VarCorr(fit)$patient, size, size),
    log_likelihood = as.numeric(logLik(fit)), effects = as.matrix(unname(ranef(fit)$patient))[1:5, , drop = FALSE]
  )
}
set.seed(1)
classes <- stepFlexmix(
  value ~ years | patient, data = rows, k = 2, nrep = 20, verbose = FALSE,
  control = list(iter.max = 2000, tolerance = 1e-12, minprior = 0)
)
growth <- list(
  log_likelihood = as.numeric(logLik(classes)), shares = prior(classes),
  courses = t(parameters(classes)[1:2, ]), residuals = parameters(classes)[3, ]^2
)
out <- list(linear = mixed(value ~ years + (years | patient)), growth = growth)
write(toJSON(out, digits = 12, auto_unbox = TRUE, matrix = "rowmajor"), "courses.json")
