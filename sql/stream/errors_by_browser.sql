-- In which browsers errors happen, and how often there.
-- Grain: a browser. Reads what view errors does; bound by event_date.
SELECT
  browser,
  SUM(events) AS events,
  SUM(errors) AS errors,
  ROUND(100.0 * SUM(errors) / SUM(events), 2) AS error_percent
FROM clickstream_analytics.errors AS counts
GROUP BY browser
ORDER BY errors DESC, events DESC, browser
