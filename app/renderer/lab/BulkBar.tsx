import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { ImageEntry } from '../../../shared/contract/image.ts';
import {
  type ActionResult,
  type BootPolicy,
  bootPolicies,
  type Machine,
  type MachineAction,
} from '../../../shared/contract/machine.ts';
import { Button } from '../parts/Button.tsx';
import { attempt } from './answer.ts';
import { ask } from './api.ts';
import { Confirm } from './parts/Confirm.tsx';
import { Pick } from './parts/Pick.tsx';
import { RolloutSheet } from './Rollout.tsx';
import { useLab } from './store.ts';

interface Props {
  readonly machines: readonly Machine[];
  readonly images: readonly ImageEntry[];
  readonly onDone: () => void;
}

const acts = ['arm', 'disarm', 'image', 'policy', 'rollout', 'delete'] as const;
type Act = (typeof acts)[number];

/** What can be done to all machines that are selected. */
export function BulkBar({ machines, images, onDone }: Props) {
  const { t } = useTranslation();
  const [act, setAct] = useState<Act | null>(null);
  const count = machines.length;
  const close = () => setAct(null);
  const props = { machines, images, onClose: close };
  return (
    <div className="bulk" role="toolbar" aria-label={t('lab.machines.selected', { count })}>
      <strong>{t('lab.machines.selected', { count })}</strong>
      {acts.map((name) => (
        <Button key={name} look={name === 'delete' ? 'danger' : 'plain'} onPress={() => setAct(name)}>
          {t(`lab.bulk.${name}`)}
        </Button>
      ))}
      <Button look="quiet" onPress={onDone}>
        {t('lab.machines.unselect')}
      </Button>
      {act === 'arm' || act === 'disarm' || act === 'delete' ? <Simple act={act} {...props} /> : null}
      {act === 'image' ? <SetImage {...props} /> : null}
      {act === 'policy' ? <SetPolicy {...props} /> : null}
      {act === 'rollout' ? <RolloutSheet {...props} /> : null}
    </div>
  );
}

interface SheetProps {
  readonly machines: readonly Machine[];
  readonly images: readonly ImageEntry[];
  readonly onClose: () => void;
}

function Simple({ act, machines, onClose }: SheetProps & { readonly act: 'arm' | 'disarm' | 'delete' }) {
  const { t } = useTranslation();
  const count = machines.length;
  const destructive = act !== 'disarm';
  return (
    <Confirm
      danger={destructive}
      title={t(`lab.bulk.${act}Title`, { count })}
      act={t(`lab.bulk.${act}`).replace('…', '')}
      {...(destructive ? { typed: String(count) } : {})}
      onAct={() => run(machines, { action: act })}
      onClose={onClose}
    >
      <p>{t(`lab.bulk.${act}Text`)}</p>
    </Confirm>
  );
}

const armed = (machines: readonly Machine[]) =>
  machines.some(({ boot_policy }) => /^flash/.test(boot_policy));

const unchosen = '-';

function SetImage({ machines, images, onClose }: SheetProps) {
  const { t } = useTranslation();
  // None is chosen for a person: "no image" would be taken from all of them by one click.
  const [image, setImage] = useState<string | null>(null);
  const count = machines.length;
  return (
    <Confirm
      title={t('lab.bulk.imageTitle', { count })}
      act={t('lab.common.apply')}
      {...(armed(machines) ? { danger: true, typed: String(count) } : {})}
      isReady={image !== null}
      onAct={() => run(machines, { action: 'set-image', image_sha256: image === '' ? null : image })}
      onClose={onClose}
    >
      <Pick
        label={t('lab.bulk.pick')}
        value={image ?? unchosen}
        options={[
          ...(image === null ? [{ key: unchosen, text: t('lab.rollout.choose') }] : []),
          { key: '', text: t('lab.binding.noImage') },
          ...images.flatMap(({ sha256, name }) => (sha256 === null ? [] : [{ key: sha256, text: name }])),
        ]}
        onChange={setImage}
      />
      <p>{t('lab.bulk.imageText')}</p>
    </Confirm>
  );
}

function SetPolicy({ machines, onClose }: SheetProps) {
  const { t } = useTranslation();
  const [policy, setPolicy] = useState<BootPolicy>('local');
  const count = machines.length;
  return (
    <Confirm
      title={t('lab.bulk.policyTitle', { count })}
      act={t('lab.common.apply')}
      {...(/^flash/.test(policy) ? { danger: true, typed: String(count) } : {})}
      onAct={() => run(machines, { action: 'set-policy', boot_policy: policy })}
      onClose={onClose}
    >
      <Pick
        label={t('lab.binding.policy')}
        value={policy}
        options={bootPolicies.map((key) => ({ key, text: t(`lab.policies.${key}`) }))}
        onChange={setPolicy}
        hint={t(`lab.policyHints.${policy}`)}
      />
    </Confirm>
  );
}

/** Does it, and tells how many were changed. */
function run(machines: readonly Machine[], body: MachineAction): Promise<boolean> {
  return attempt(async () => {
    const meant = { macs: machines.map(({ mac }) => mac), limit: machines.length };
    const { changed, skipped }: ActionResult = await ask('POST /machines/actions', {
      body: { ...body, ...meant },
    });
    const { say } = useLab.getState();
    say('good', 'lab.bulk.done', { count: changed.length });
    const [first] = skipped;
    if (first)
      say('bad', 'lab.bulk.skipped', { count: skipped.length, mac: first.mac, reason: first.reason });
  });
}
