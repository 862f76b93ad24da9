import { helperAction } from './elevation.ts';

/**
 * The action file of polkit (polkit(8), "Declaring actions") for the helper at `program`: whose prompt names the app
 * and the purpose, and which asks an administrator every time. Throws on a path that pkexec(1) would not match.
 */
export function policyText(program: string): string {
  if (!/^(\/[\w.@+-]+)+$/.test(program) || /\/\.{1,2}(\/|$)/.test(program))
    throw new Error(`not a plain absolute path: ${program}`);
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE policyconfig PUBLIC "-//freedesktop//DTD polkit Policy Configuration 1.0//EN"
 "http://www.freedesktop.org/software/polkit/policyconfig-1.dtd">
<policyconfig>
  <vendor>bty</vendor>
  <action id="${helperAction}">
    <description>Write disk images with bty</description>
    <message>bty needs permission to overwrite the disks that you chose with a disk image</message>
    <icon_name>drive-removable-media</icon_name>
    <defaults>
      <allow_any>auth_admin</allow_any>
      <allow_inactive>auth_admin</allow_inactive>
      <allow_active>auth_admin</allow_active>
    </defaults>
    <annotate key="org.freedesktop.policykit.exec.path">${program}</annotate>
    <annotate key="org.freedesktop.policykit.exec.argv1">helper</annotate>
  </action>
</policyconfig>
`;
}
