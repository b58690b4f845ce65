# Golden figures for tests/experiments/test_golden_evaluation.py, and the simulated cohort that they are of.
# Run in this folder: Rscript evaluation.R. R 4.2 with Debian's survival, prodlim, cmprsk, riskRegression and pec.
suppressPackageStartupMessages({
  library(survival)
  library(prodlim)
  library(riskRegression)
  library(data.table)
})

# 240 patients, whole days with many ties, two causes, censoring by day 420.
set.seed(20260521)
n <- 240
marker <- rnorm(n)
first <- rexp(n, exp(-6.2 + 0.8 * marker))
second <- rexp(n, exp(-7.2 - 0.3 * marker))
leaves <- runif(n, 30, 420)
time <- pmin(first, second, leaves)
cause <- ifelse(time == leaves, 0, ifelse(time == first, 1, 2))
day <- ceiling(time / 5) * 5
horizons <- c(92, 182, 362) # no day of the data: a censoring on the horizon itself is defined differently
risk <- sapply(horizons, function(h) round(1 - exp(-h * exp(-6.1 + 0.6 * marker + 0.2 * rnorm(n))), 2))
risk <- t(apply(risk, 1, cummax))
cohort <- data.frame(time = day, cause = cause, risk_92 = risk[, 1], risk_182 = risk[, 2], risk_362 = risk[, 3])
write.csv(cohort, "evaluation_cohort.csv", row.names = FALSE, quote = FALSE)

found <- data.frame(figure = character(), source = character(), horizon = numeric(), value = numeric())
note <- function(figure, source, horizon, value) {
  found <<- rbind(found, data.frame(figure = figure, source = source, horizon = horizon, value = as.numeric(value)))
}

# Aalen-Johansen of cause 1, by three packages.
curve <- prodlim(Hist(time, cause) ~ 1, data = cohort)
note("aalen_johansen", "prodlim", horizons, unlist(predict(curve, times = horizons, cause = 1, type = "cuminc")))
states <- survfit(Surv(time, factor(cause, 0:2)) ~ 1, data = cohort)
note("aalen_johansen", "survival", horizons, summary(states, times = horizons)$pstate[, 2])
gray <- cmprsk::timepoints(cmprsk::cuminc(cohort$time, cohort$cause), horizons)$est
note("aalen_johansen", "cmprsk", horizons, gray["1 1", ])

# G(t-) of the censoring, just before each patient's own time and before the horizons.
reverse <- prodlim(Hist(time, cause != 0) ~ 1, data = cohort, reverse = TRUE)
days <- sort(unique(cohort$time))
note("censoring_before", "prodlim", days, predict(reverse, times = days - 0.5, type = "surv"))
later <- transform(cohort, time = ifelse(cause == 0, time + 1, time)) # events come before censorings of the same day
other <- survfit(Surv(time, cause == 0) ~ 1, data = later)
note("censoring_before", "survival", horizons, summary(other, times = horizons)$surv)

# AUROC(t), Brier(t), the Aalen-Johansen null and the index of prediction accuracy, with competing risks.
score <- Score(
  list(model = risk), formula = Hist(time, cause) ~ 1, data = cohort, cause = 1, times = horizons,
  metrics = c("auc", "brier"), summary = c("ipa", "ibs"), cens.model = "km", conf.int = FALSE, se.fit = FALSE, null.model = TRUE
)
auc <- score$AUC$score[model == "model"]
brier <- score$Brier$score
note("auroc", "riskRegression", auc$times, auc$AUC)
own <- brier[model == "model"]
null <- brier[model == "Null model"]
note("brier", "riskRegression", own$times, own$Brier)
note("null_brier", "riskRegression", null$times, null$Brier)
note("brier_skill", "riskRegression", own$times, own$IPA)
note("integrated_brier_steps", "riskRegression", own$times, own$IBS)

# Without a competing event, Uno's C of survival; the risk at the last horizon, truncated there.
single <- transform(cohort, event = as.numeric(cause == 1))
uno <- concordance(Surv(time, event) ~ risk_362, data = single, timewt = "n/G2", ymax = 362, reverse = TRUE)
note("concordance_single", "survival", 362, uno$concordance)

# With competing events: Wolbers's concordance of pec, of days without ties. (On days with ties pec weighs a pair by
# G(T-) G(T) and not by G(T-)^2.)
untied <- transform(cohort, time = time + seq_len(n) / 1000)
for (tied in c(FALSE, TRUE)) {
  data <- if (tied) cohort else untied
  wolbers <- pec::cindex(list(model = matrix(risk[, 3], ncol = 1)), formula = Hist(time, cause) ~ 1, data = data,
    cause = 1, eval.times = 362, pred.times = 362, cens.model = "marginal", tiedOutcomeIn = FALSE, verbose = FALSE)
  note(if (tied) "concordance_tied" else "concordance_untied", "pec", 362, wolbers$AppCindex$model)
}

# Net benefit at 0.3 by Aalen-Johansen among the flagged (risk at the last horizon).
flagged <- cohort[cohort$risk_362 >= 0.3, ]
among <- prodlim(Hist(time, cause) ~ 1, data = flagged)
share <- nrow(flagged) / n
cif <- unlist(predict(among, times = 362, cause = 1, type = "cuminc"))
note("net_benefit", "prodlim", 362, share * cif - share * (1 - cif) * 0.3 / 0.7)

found$value <- sprintf("%.12f", found$value)
write.csv(found, "evaluation_golden.csv", row.names = FALSE, quote = FALSE)
