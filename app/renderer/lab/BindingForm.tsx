import { type FormEvent, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { DiskRule } from '../../../shared/contract/agent.ts';
import {
  type BootPolicy,
  bootPolicies,
  type Machine,
  type MachineUpsert,
} from '../../../shared/contract/machine.ts';
import { forecastOf } from '../../../shared/lab/forecast.ts';
import { labelsIn, labelsText } from '../../../shared/lab/labels.ts';
import { Button } from '../parts/Button.tsx';
import { Field } from '../parts/Field.tsx';
import { Note } from '../parts/Note.tsx';
import { attempt, putAnswer, useAnswer } from './answer.ts';
import { ask, Refusal } from './api.ts';
import { draftOf, keepDraft } from './drafts.ts';
import { imageName, useImages } from './images.ts';
import { Confirm } from './parts/Confirm.tsx';
import { Card } from './parts/Page.tsx';
import { Pick } from './parts/Pick.tsx';
import { TextArea } from './parts/TextArea.tsx';
import { useLab } from './store.ts';

interface Draft {
  readonly image: string;
  readonly policy: BootPolicy;
  readonly hostname: string;
  /** `only`, `rule`, `other`, or `serial:` and the serial number. */
  readonly disk: string;
  readonly serial: string;
  readonly labels: string;
  readonly notes: string;
}

function draftFrom(machine: Machine): Draft {
  const { target_disk } = machine;
  return {
    image: machine.image_sha256 ?? '',
    policy: machine.boot_policy,
    hostname: machine.hostname ?? '',
    disk:
      target_disk === null || target_disk.kind === 'only'
        ? 'only'
        : target_disk.kind === 'match'
          ? 'rule'
          : `serial:${target_disk.serial}`,
    serial: '',
    labels: labelsText(machine.labels),
    notes: machine.notes ?? '',
  };
}

function diskOf({ disk, serial }: Draft, machine: Machine): DiskRule | null {
  if (disk === 'only') return machine.target_disk?.kind === 'only' ? machine.target_disk : null;
  if (disk === 'rule') return machine.target_disk;
  return { kind: 'serial', serial: disk === 'other' ? serial.trim() : disk.slice('serial:'.length) };
}

const hostPattern =
  /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;

interface KeptDraft {
  readonly base: Machine;
  readonly draft: Draft;
}

/** What is kept of the form of a machine under this name. */
export const draftName = (mac: string) => `binding ${mac}`;

/** What the machine is to boot, with one sentence of what that will do. */
export function BindingForm({ machine }: { readonly machine: Machine }) {
  const { t } = useTranslation();
  const { value: images } = useImages();
  const operates = useLab(({ scope }) => scope !== 'read');
  // What was edited is kept while the machine tells of itself; whose binding is edited by another is told so.
  const name = draftName(machine.mac);
  const [kept] = useState(() => draftOf<KeptDraft>(name));
  const [base, setBase] = useState(kept?.base ?? machine);
  const [draft, setDraft] = useState(() => kept?.draft ?? draftFrom(machine));
  const [conflict, setConflict] = useState(false);
  const [asking, setAsking] = useState(false);
  const edited = JSON.stringify(draft) !== JSON.stringify(draftFrom(base));
  useEffect(() => keepDraft(name, edited ? { base, draft } : undefined), [name, edited, base, draft]);
  if (!edited && base !== machine) {
    setBase(machine);
    setDraft(draftFrom(machine));
  }
  const change = (changes: Partial<Draft>) => setDraft({ ...draft, ...changes });
  const labels = labelsIn(draft.labels);
  const hostname = draft.hostname.trim();
  const badName = hostname !== '' && !hostPattern.test(hostname);
  const disk = diskOf(draft, machine);
  const complete = labels !== null && !badName && (draft.disk !== 'other' || draft.serial.trim() !== '');
  const save = async (): Promise<boolean> => {
    if (labels === null) return false;
    const body: MachineUpsert = {
      image_sha256: draft.image === '' ? null : draft.image,
      boot_policy: draft.policy,
      hostname: hostname === '' ? null : hostname,
      target_disk: disk,
      labels,
      notes: draft.notes === '' ? null : draft.notes,
    };
    return attempt(async () => {
      const found = await saveUnlessChanged(base, body);
      setConflict(found.conflict);
      if (found.conflict) {
        setBase(found.machine);
        return;
      }
      putAnswer(`machine ${machine.mac}`, found.machine);
      setBase(found.machine);
      setDraft(draftFrom(found.machine));
      useLab.getState().say('good', 'lab.common.saved');
    });
  };
  const forecast = forecastOf({
    policy: draft.policy,
    image: imageName(images, draft.image === '' ? null : draft.image),
    disk,
    next: edited ? null : machine.state.next,
  });
  const saved = draftFrom(base);
  const arms =
    forecast.danger &&
    (draft.policy !== saved.policy ||
      draft.image !== saved.image ||
      draft.disk !== saved.disk ||
      draft.disk === 'other');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (arms) setAsking(true);
    else void save();
  };
  const known = images?.some(({ sha256 }) => sha256 === draft.image) ?? true;
  return (
    <Card title={t('lab.binding.title')}>
      <form className="form" onSubmit={submit}>
        <p className={forecast.danger ? 'forecast forecast-danger' : 'forecast'} role="status">
          {t(`lab.forecast.${forecast.key}`, forecast.values)}
        </p>
        <div className="form-row">
          <Pick
            label={t('lab.binding.image')}
            value={draft.image}
            options={[
              { key: '', text: t('lab.binding.noImage') },
              ...(known
                ? []
                : [
                    {
                      key: draft.image,
                      text: t('lab.binding.unknownImage', { ref: draft.image.slice(0, 12) }),
                    },
                  ]),
              ...(images ?? []).flatMap(({ sha256, name }) =>
                sha256 === null ? [] : [{ key: sha256, text: name }],
              ),
            ]}
            onChange={(image) => change({ image })}
          />
          <Pick
            label={t('lab.binding.policy')}
            value={draft.policy}
            options={bootPolicies.map((key) => ({ key, text: t(`lab.policies.${key}`) }))}
            onChange={(policy) => change({ policy })}
            hint={t(`lab.policyHints.${draft.policy}`)}
          />
        </div>
        <DiskPick machine={machine} draft={draft} change={change} />
        <Field
          label={t('lab.binding.hostname')}
          value={draft.hostname}
          onChange={(value) => change({ hostname: value })}
          problem={badName ? t('lab.binding.badHostname') : null}
        />
        <div className="form-row">
          <TextArea
            label={t('lab.binding.labels')}
            hint={t('lab.binding.labelsHint')}
            value={draft.labels}
            onChange={(value) => change({ labels: value })}
            problem={labels === null ? t('lab.binding.badLabels') : null}
          />
          <TextArea
            label={t('lab.binding.notes')}
            value={draft.notes}
            onChange={(notes) => change({ notes })}
          />
        </div>
        {conflict ? <Note kind="warn">{t('lab.binding.changed')}</Note> : null}
        {kept !== undefined && edited && !conflict ? <Note kind="info">{t('lab.binding.kept')}</Note> : null}
        {operates ? (
          <div className="form-actions">
            <Button look="primary" type="submit" isDisabled={!edited || !complete}>
              {t('lab.common.save')}
            </Button>
            {edited ? (
              <Button
                onPress={() => {
                  setDraft(draftFrom(machine));
                  setBase(machine);
                  setConflict(false);
                }}
              >
                {t('lab.binding.undo')}
              </Button>
            ) : null}
          </div>
        ) : (
          <p className="quiet">{t('lab.trouble.readOnly')}</p>
        )}
      </form>
      {asking ? (
        <Confirm
          danger
          title={t('lab.binding.armTitle')}
          act={t('lab.common.save')}
          onAct={save}
          onClose={() => setAsking(false)}
        >
          <p>{t(`lab.forecast.${forecast.key}`, forecast.values)}</p>
        </Confirm>
      ) : null}
    </Card>
  );
}

/** Times that a machine may tell of itself while its binding is saved. */
const tries = 8;

/** The etag changes with whatever a machine tells of itself, so what counts here is whether the binding is another. */
async function saveUnlessChanged(
  base: Machine,
  body: MachineUpsert,
): Promise<{ readonly conflict: boolean; readonly machine: Machine }> {
  const params = { mac: base.mac };
  for (let left = tries; ; left--) {
    const now = await ask('GET /machines/{mac}', { params });
    if (JSON.stringify(draftFrom(now)) !== JSON.stringify(draftFrom(base)))
      return { conflict: true, machine: now };
    try {
      const machine = await ask('PATCH /machines/{mac}', { params, body, ifMatch: now.etag });
      return { conflict: false, machine };
    } catch (error) {
      if (!(error instanceof Refusal) || error.status !== 412 || left <= 1) throw error;
    }
  }
}

interface DiskPickProps {
  readonly machine: Machine;
  readonly draft: Draft;
  readonly change: (changes: Partial<Draft>) => void;
}

function DiskPick({ machine, draft, change }: DiskPickProps) {
  const { t } = useTranslation();
  const disks = useDisks(machine.mac);
  const serials = new Set(disks.flatMap(({ serial }) => (serial === null ? [] : [serial])));
  if (draft.disk.startsWith('serial:')) serials.add(draft.disk.slice('serial:'.length));
  const named = (serial: string) => {
    const disk = disks.find((one) => one.serial === serial);
    return [disk?.path, disk?.model, t('lab.binding.diskSerial', { serial })].filter(Boolean).join(' · ');
  };
  return (
    <div className="form-row">
      <Pick
        label={t('lab.binding.disk')}
        value={draft.disk}
        options={[
          { key: 'only', text: t('lab.binding.diskOnly') },
          ...(machine.target_disk?.kind === 'match'
            ? [{ key: 'rule', text: t('lab.binding.diskRule') }]
            : []),
          ...[...serials].map((serial) => ({ key: `serial:${serial}`, text: named(serial) })),
          { key: 'other', text: t('lab.binding.serialOther') },
        ]}
        onChange={(disk) => change({ disk })}
      />
      {draft.disk === 'other' ? (
        <Field
          label={t('lab.binding.serial')}
          value={draft.serial}
          onChange={(serial) => change({ serial })}
          maxLength={256}
        />
      ) : null}
    </div>
  );
}

function useDisks(mac: string) {
  const { value } = useInventory(mac);
  return value?.inventory.disks ?? [];
}

/** What the machine told of itself; null when it never did. */
export function useInventory(mac: string) {
  return useAnswer(`inventory ${mac}`, async () => {
    try {
      return await ask('GET /machines/{mac}/inventory', { params: { mac } });
    } catch (error) {
      if (error instanceof Refusal && error.status === 404) return null;
      throw error;
    }
  }, ['machine']);
}
