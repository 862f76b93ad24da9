import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { applianceAction, helperAction, helperProgram } from '../../shared/helper/elevation.ts';
import { policyText } from '../../shared/helper/policy.ts';

/** Writes the action files of polkit; the first argument is where the package puts the helper's executable. */
const [program = helperProgram] = process.argv.slice(2);
const write = (action: string, text: string) =>
  writeFileSync(join(import.meta.dirname, `${action}.policy`), text);
write(helperAction, policyText(program));
write(applianceAction, policyText(join(dirname(program), 'bty-web'), 'appliance'));
