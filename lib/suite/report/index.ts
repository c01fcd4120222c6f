/** The reporters by what `--reporter` calls them; the one that is chosen is loaded. */
import type { Reporter, RowsReporter } from '../run/reporter.ts';
import type { KcidbOptions } from './kcidb.ts';
import type { Screen } from './spec.ts';

const reporters = {
  spec: async (screen) => (await import('./spec.ts')).specReporter(screen),
  ktap: async ({ write }) => (await import('./ktap.ts')).ktapReporter(write),
  tap: async ({ write }) => (await import('./tap.ts')).tapReporter(write, 13),
  tap14: async ({ write }) => (await import('./tap.ts')).tapReporter(write, 14),
  junit: async ({ write }) => (await import('./junit.ts')).junitReporter(write),
  json: async ({ write }) => (await import('./json.ts')).jsonReporter(write),
  kcidb: async ({ write }, options) => (await import('./kcidb.ts')).kcidbReporter(write, options),
  'kunit-json': async ({ write }) => (await import('./kunit-json.ts')).kunitJsonReporter(write),
} satisfies Record<string, (screen: Screen, options: ReportOptions) => Promise<Reporter>>;

/** What some reporters want to know beside. */
export type ReportOptions = KcidbOptions;

/** The same for a report of several rows. */
const rowsReporters = {
  spec: async (screen) => (await import('./spec.ts')).specRows(screen),
  ktap: async ({ write }, count) => (await import('./ktap.ts')).ktapRows(write, count),
  tap: async ({ write }, count) => (await import('./tap.ts')).tapRows(write, 13, count),
  tap14: async ({ write }, count) => (await import('./tap.ts')).tapRows(write, 14, count),
  junit: async ({ write }) => (await import('./junit.ts')).junitRows(write),
  json: async ({ write }) => (await import('./json.ts')).jsonRows(write),
  kcidb: async ({ write }, _count, options) => (await import('./kcidb.ts')).kcidbRows(write, options),
  'kunit-json': async ({ write }) => (await import('./kunit-json.ts')).kunitJsonRows(write),
} satisfies Record<ReporterName, (screen: Screen, count: number, options: ReportOptions) => Promise<RowsReporter>>;

export type ReporterName = keyof typeof reporters;

/** What `--reporter` takes. */
export const reporterNames = Object.keys(reporters) as ReporterName[];

/** The reporter of that name. */
export function reporterNamed(name: ReporterName, screen: Screen, options: ReportOptions = {}): Promise<Reporter> {
  return reporters[name](screen, options);
}

/** The reporter of that name for so many rows. */
export function rowsReporterNamed(
  name: ReporterName,
  screen: Screen,
  count: number,
  options: ReportOptions = {},
): Promise<RowsReporter> {
  return rowsReporters[name](screen, count, options);
}
