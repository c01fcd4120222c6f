import type { Reporter } from '../run/reporter.ts';
import { jsonReporter } from './json.ts';
import { junitReporter } from './junit.ts';
import { ktapReporter } from './ktap.ts';
import type { ReporterName } from './names.ts';
import { type Screen, specReporter } from './spec.ts';
import { tapReporter } from './tap.ts';

/** The reporter of that name. */
export function reporterNamed(name: ReporterName, screen: Screen): Reporter {
  const { write } = screen;
  switch (name) {
    case 'spec':
      return specReporter(screen);
    case 'ktap':
      return ktapReporter(write);
    case 'tap':
      return tapReporter(write);
    case 'junit':
      return junitReporter(write);
    case 'json':
      return jsonReporter(write);
  }
}
