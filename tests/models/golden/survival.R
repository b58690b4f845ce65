# Golden figures of tests/models/test_survival_golden.py. Run in this folder: Rscript survival.R
# R with survival, cmprsk, prodlim, riskRegression and jsonlite. The simulated rows stand in survival.csv.
suppressMessages({
  library(survival); library(cmprsk); library(prodlim); library(riskRegression); library(jsonlite)
})
rows <- read.csv("survival.csv")
horizons <- c(90, 365, 730)

# Aalen-Johansen of both causes, by two packages.
incidence <- cuminc(rows$time, rows$cause)
states <- summary(survfit(Surv(time, factor(cause, 0:2)) ~ 1, data = rows), times = horizons)
aalen_johansen <- unname(timepoints(incidence, horizons)$est)
stopifnot(max(abs(aalen_johansen - t(states$pstate[, 2:3]))) < 1e-10)

# G(t-): Kaplan-Meier of the censoring, where an event comes before a censoring of the same day.
at <- c(1, 30, 90, 200, 365, 500, 730)
reverse <- prodlim(Hist(time, cause) ~ 1, data = rows, reverse = TRUE)
limits <- predict(reverse, times = at - 1e-9, type = "surv")

# Cox of cause 1 with Efron's ties and no penalty, and its baseline hazard.
efron <- coxph(Surv(time, cause == 1) ~ x1 + x2 + x3, data = rows, ties = "efron",
               control = coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 100))
baseline <- basehaz(efron, newdata = data.frame(x1 = 0, x2 = 0, x3 = 0))

# Absolute risks of cause-specific Cox models, by the exact product of every day, for the first 20 rows.
both <- CSC(Hist(time, cause) ~ x1 + x2 + x3, data = rows, method = "efron")
risk <- function(cause) predict(both, newdata = rows[1:20, ], times = horizons, cause = cause)$absRisk

write_json(list(
  horizons = horizons,
  aalen_johansen = aalen_johansen,
  at = at,
  censoring = as.vector(limits),
  cox = unname(coef(efron)),
  log_likelihood = efron$loglik,
  baseline_time = baseline$time,
  baseline_hazard = baseline$hazard,
  risk_1 = risk(1),
  risk_2 = risk(2)
), "survival.json", digits = 12, auto_unbox = TRUE)
