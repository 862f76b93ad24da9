import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Validation } from '../../../shared/contract/task.ts';
import { Button } from '../parts/Button.tsx';
import { Field } from '../parts/Field.tsx';
import { Note } from '../parts/Note.tsx';
import { askAgain, attempt, useAnswer } from './answer.ts';
import { ask, Refusal } from './api.ts';
import { draftOf, keepDraft } from './drafts.ts';
import { Confirm } from './parts/Confirm.tsx';
import { Card } from './parts/Page.tsx';
import { Pick } from './parts/Pick.tsx';
import { useLab } from './store.ts';

const example = `doc: What this is for.
steps:
- name: set the name
  run: hostnamectl set-hostname {{ machine.hostname }}
`;
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
/** Milliseconds after the last key before the text is checked. */
const pause = 300;

interface Props {
  /** Null for a new one. */
  readonly name: string | null;
  readonly onClose: () => void;
}

interface Kept {
  readonly called: string;
  readonly text: string;
  readonly base: TaskBase;
}

/** The version that was loaded, 0 for a new file, and its text. */
interface TaskBase {
  readonly version: number;
  readonly text: string;
}

/** Edits a task file; what is wrong with it is said while it is typed. */
export function TaskEditor({ name, onClose }: Props) {
  const { t } = useTranslation();
  const kept = `task ${name ?? ''}`;
  const [before] = useState(() => draftOf<Kept>(kept));
  const [called, setCalled] = useState(before?.called ?? name ?? '');
  const [base, setBase] = useState<TaskBase | null>(
    before?.base ?? (name === null ? { version: 0, text: example } : null),
  );
  const [text, setText] = useState<string | null>(before?.text ?? (name === null ? example : null));
  const [deleting, setDeleting] = useState(false);
  const [closing, setClosing] = useState(false);
  const [newer, setNewer] = useState<number | null>(null);
  useLatest(name, base, (found) => {
    setBase(found);
    setText(found.text);
  });
  const checked = useValidation(text);
  const operates = useLab(({ scope }) => scope !== 'read');
  const edited = base !== null && (text !== base.text || (name === null && called !== ''));
  useEffect(
    () => keepDraft(kept, edited ? { called, text, base } : undefined),
    [kept, edited, called, text, base],
  );
  const ready = namePattern.test(called) && text !== null && checked?.valid === true;
  const close = () => {
    keepDraft(kept, undefined);
    onClose();
  };
  const save = () =>
    attempt(async () => {
      if (base === null || text === null) return;
      // Every version is kept, but whoever saves over a newer one is to know it.
      const version = await latestVersion(called);
      if (version !== base.version) {
        setBase({ ...base, version });
        setNewer(version);
        return;
      }
      const file = await ask('PUT /tasks/library/{name}', { params: { name: called }, body: { text } });
      useLab.getState().say('good', 'lab.task.savedAs', { version: file.version });
      askAgain('task ');
      close();
    });
  return (
    <Card title={name === null ? t('lab.task.add') : t('lab.task.edit', { name })}>
      <div className="form">
        {name === null ? (
          <Field
            label={t('lab.task.name')}
            hint={t('lab.task.nameHint')}
            value={called}
            onChange={setCalled}
            problem={called === '' || namePattern.test(called) ? null : t('lab.task.nameHint')}
            autoComplete="off"
          />
        ) : (
          <Versions name={name} shown={base?.version ?? null} text={text} base={base} onChoose={setText} />
        )}
        <label className="field">
          <span className="field-label">{t('lab.task.text')}</span>
          <textarea
            className="field-input task-text"
            rows={18}
            spellCheck={false}
            readOnly={!operates || text === null}
            value={text ?? ''}
            onChange={({ target }) => setText(target.value)}
          />
          <span className="field-hint">{t('lab.task.textHint')}</span>
        </label>
        <div role="status">
          {checked === null ? null : <Faults checked={checked} />}
          {newer === null || base?.version !== newer ? null : (
            <Note kind="warn">{t('lab.task.newer', { name: called, version: newer })}</Note>
          )}
        </div>
        <div className="row-actions">
          {operates ? (
            <Button look="primary" isDisabled={!ready} onPress={() => void save()}>
              {t('lab.common.save')}
            </Button>
          ) : null}
          <Button onPress={() => (edited ? setClosing(true) : close())}>{t('common.close')}</Button>
          {name === null || !operates ? null : (
            <Button look="danger" onPress={() => setDeleting(true)}>
              {t('lab.common.delete')}
            </Button>
          )}
        </div>
      </div>
      {closing ? (
        <Confirm
          danger
          title={t('lab.task.discardTitle')}
          act={t('lab.task.discard')}
          onAct={async () => {
            close();
            return true;
          }}
          onClose={() => setClosing(false)}
        >
          <p>{t('lab.task.discardText')}</p>
        </Confirm>
      ) : null}
      {deleting && name !== null ? (
        <Confirm
          danger
          title={t('lab.task.deleteTitle', { name })}
          act={t('lab.common.delete')}
          onAct={async () => {
            const done = await attempt(() => ask('DELETE /tasks/library/{name}', { params: { name } }));
            if (!done) return false;
            askAgain('task ');
            close();
            return true;
          }}
          onClose={() => setDeleting(false)}
        >
          <p>{t('lab.task.deleteText')}</p>
        </Confirm>
      ) : null}
    </Card>
  );
}

/** Number of the version that is there, 0 when there is none. */
async function latestVersion(name: string): Promise<number> {
  try {
    return (await ask('GET /tasks/library/{name}', { params: { name } })).version;
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return 0;
    throw error;
  }
}

/** Loads the latest version, once. */
function useLatest(name: string | null, base: TaskBase | null, onLoad: (found: TaskBase) => void): void {
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is done with it is not what it reacts to
  useEffect(() => {
    if (name === null || base !== null) return;
    void attempt(async () => {
      const { version, text } = await ask('GET /tasks/library/{name}', { params: { name } });
      onLoad({ version, text });
    });
  }, [name]);
}

function useValidation(text: string | null): Validation | null {
  const [checked, setChecked] = useState<Validation | null>(null);
  useEffect(() => {
    if (text === null) return;
    const controller = new AbortController();
    const { signal } = controller;
    const timer = setTimeout(() => {
      ask('POST /tasks/validate', { body: { text }, signal }).then(setChecked, () => setChecked(null));
    }, pause);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [text]);
  return checked;
}

function Faults({ checked: { valid, faults, steps } }: { readonly checked: Validation }) {
  const { t } = useTranslation();
  if (valid) return <p className="quiet">{t('lab.task.valid', { count: steps.length })}</p>;
  return (
    <Note kind="warn">
      <p>{t('lab.task.faults')}</p>
      <ul>
        {faults.map(({ line, column, message }) => (
          <li key={`${line}:${column} ${message}`}>{t('lab.task.fault', { line, column, message })}</li>
        ))}
      </ul>
    </Note>
  );
}

interface VersionsProps {
  readonly name: string;
  /** The one that was loaded first. */
  readonly shown: number | null;
  /** What stands in the editor, and what it began with. */
  readonly text: string | null;
  readonly base: TaskBase | null;
  readonly onChoose: (text: string) => void;
}

/** Brings a former version into the editor; not in the place of what was typed and is saved nowhere. */
function Versions({ name, shown, text, base, onChoose }: VersionsProps) {
  const { t } = useTranslation();
  const [chosen, setChosen] = useState<TaskBase | null>(null);
  const { value } = useAnswer(`task versions ${name}`, () =>
    ask('GET /tasks/library/{name}/versions', { params: { name } }),
  );
  const versions = value?.versions ?? [];
  if (versions.length < 2) return null;
  const typed = text !== base?.text && text !== chosen?.text;
  const choose = (version: number) =>
    attempt(async () => {
      const file = await ask('GET /tasks/library/{name}', { params: { name }, query: { version } });
      setChosen({ version, text: file.text });
      onChoose(file.text);
    });
  return (
    <Pick
      label={t('lab.task.versions')}
      value={String(chosen?.version ?? shown ?? versions[0]?.version ?? '')}
      options={versions.map(({ version, saved_by }) => ({
        key: String(version),
        text: `${t('lab.task.version', { version })} · ${saved_by}`,
      }))}
      isDisabled={typed}
      {...(typed ? { hint: t('lab.task.typed') } : {})}
      onChange={(version) => void choose(Number(version))}
    />
  );
}
