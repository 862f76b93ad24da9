import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Validation } from '../../../shared/contract/task.ts';
import { Button } from '../parts/Button.tsx';
import { Field } from '../parts/Field.tsx';
import { Note } from '../parts/Note.tsx';
import { askAgain, attempt, useAnswer } from './answer.ts';
import { ask } from './api.ts';
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

/** Edits a task file; what is wrong with it is said while it is typed. */
export function TaskEditor({ name, onClose }: Props) {
  const { t } = useTranslation();
  const [called, setCalled] = useState(name ?? '');
  const [text, setText] = useState<string | null>(name === null ? example : null);
  const [deleting, setDeleting] = useState(false);
  const loaded = useLatest(name, text, setText);
  const checked = useValidation(text);
  const operates = useLab(({ scope }) => scope !== 'read');
  const ready = namePattern.test(called) && text !== null && checked?.valid === true;
  const save = () =>
    attempt(async () => {
      const file = await ask('PUT /tasks/library/{name}', {
        params: { name: called },
        body: { text: text ?? '' },
      });
      useLab.getState().say('good', 'lab.task.savedAs', { version: file.version });
      askAgain('task ');
      onClose();
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
          <Versions name={name} shown={loaded} onChoose={setText} />
        )}
        <label className="field">
          <span className="field-label">{t('lab.task.text')}</span>
          <textarea
            className="field-input task-text"
            rows={18}
            spellCheck={false}
            readOnly={!operates}
            value={text ?? ''}
            onChange={({ target }) => setText(target.value)}
          />
          <span className="field-hint">{t('lab.task.textHint')}</span>
        </label>
        <div role="status">{checked === null ? null : <Faults checked={checked} />}</div>
        <div className="row-actions">
          {operates ? (
            <Button look="primary" isDisabled={!ready} onPress={() => void save()}>
              {t('lab.common.save')}
            </Button>
          ) : null}
          <Button onPress={onClose}>{t('common.close')}</Button>
          {name === null || !operates ? null : (
            <Button look="danger" onPress={() => setDeleting(true)}>
              {t('lab.common.delete')}
            </Button>
          )}
        </div>
      </div>
      {deleting && name !== null ? (
        <Confirm
          danger
          title={t('lab.task.deleteTitle', { name })}
          act={t('lab.common.delete')}
          onAct={async () => {
            const done = await attempt(() => ask('DELETE /tasks/library/{name}', { params: { name } }));
            if (!done) return false;
            askAgain('task ');
            onClose();
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

/** Loads the latest version once; answers which one that was. */
function useLatest(name: string | null, text: string | null, setText: (text: string) => void): number | null {
  const [version, setVersion] = useState<number | null>(null);
  useEffect(() => {
    if (name === null || text !== null) return;
    void attempt(async () => {
      const file = await ask('GET /tasks/library/{name}', { params: { name } });
      setVersion(file.version);
      setText(file.text);
    });
  }, [name, text, setText]);
  return version;
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
  readonly onChoose: (text: string) => void;
}

function Versions({ name, shown, onChoose }: VersionsProps) {
  const { t } = useTranslation();
  const [chosen, setChosen] = useState<number | null>(null);
  const { value } = useAnswer(`task versions ${name}`, () =>
    ask('GET /tasks/library/{name}/versions', { params: { name } }),
  );
  const versions = value?.versions ?? [];
  if (versions.length < 2) return null;
  const choose = (version: number) =>
    attempt(async () => {
      const file = await ask('GET /tasks/library/{name}', { params: { name }, query: { version } });
      setChosen(version);
      onChoose(file.text);
    });
  return (
    <Pick
      label={t('lab.task.versions')}
      value={String(chosen ?? shown ?? versions[0]?.version ?? '')}
      options={versions.map(({ version, saved_by }) => ({
        key: String(version),
        text: `${t('lab.task.version', { version })} · ${saved_by}`,
      }))}
      onChange={(version) => void choose(Number(version))}
    />
  );
}
