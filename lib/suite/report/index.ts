/** The reporters by what `--reporter` calls them; the one that is chosen is loaded. */
import type { Reporter } from '../run/reporter.ts';
import type { Screen } from './spec.ts';

const reporters = {
  spec: async (screen) => (await import('./spec.ts')).specReporter(screen),
  ktap: async ({ write }) => (await import('./ktap.ts')).ktapReporter(write),
  tap: async ({ write }) => (await import('./tap.ts')).tapReporter(write, 13),
  tap14: async ({ write }) => (await import('./tap.ts')).tapReporter(write, 14),
  junit: async ({ write }) => (await import('./junit.ts')).junitReporter(write),
  json: async ({ write }) => (await import('./json.ts')).jsonReporter(write),
} satisfies Record<string, (screen: Screen) => Promise<Reporter>>;

export type ReporterName = keyof typeof reporters;

/** What `--reporter` takes. */
export const reporterNames = Object.keys(reporters) as ReporterName[];

/** The reporter of that name. */
export function reporterNamed(name: ReporterName, screen: Screen): Promise<Reporter> {
  return reporters[name](screen);
}
