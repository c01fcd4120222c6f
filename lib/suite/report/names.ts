/** What `--reporter` takes. */
export const reporterNames = ['spec', 'ktap', 'tap', 'junit', 'json'] as const;
export type ReporterName = (typeof reporterNames)[number];
