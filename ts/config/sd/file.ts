/** Discovery by files: the section of the configuration file. */

import { quote } from '../../util/index.ts';
import { object } from '../object.ts';
import { duration, type Infer, paths } from '../schema.ts';

const FILE_NAME = /^[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)$/;

const fields = { files: paths().always(), refresh_interval: duration().default(300_000) };

/** Which files hold target groups, and how often they are read again without being told. */
export type FileSdConfig = Infer<typeof fields>;

export const file = object(fields, {
  check(config, report) {
    if (config.files.length === 0) {
      report('file service discovery config must contain at least one path name');
    }
    for (const name of config.files) {
      if (!FILE_NAME.test(name)) report(`path name ${quote(name)} is not valid for file discovery`, 'files');
    }
  },
});
