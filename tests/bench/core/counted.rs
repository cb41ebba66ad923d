//! A module that counts its own instructions.
//!
//! Before each run of instructions that are executed together, their number is added to a global,
//! which the module exports as [`COUNT`]. An interpreter's own measure would not do: it charges for
//! a whole block, also where that is left early. Used by `module.rs`.

use walrus::{
    ConstExpr, GlobalId, LocalFunction, Module, ValType,
    ir::{BinaryOp, Binop, Const, GlobalGet, GlobalSet, Instr, InstrLocId, InstrSeqId, Value},
};

/// What the number is exported as, which has 64 bits.
pub const COUNT: &str = "instructions";

/// The same module, counting.
pub fn counted(module: &[u8]) -> Vec<u8> {
    let mut module = Module::from_buffer(module).expect("a module");
    let start = ConstExpr::Value(Value::I64(0));
    let count = module.globals.add_local(ValType::I64, true, false, start);
    module.exports.add(COUNT, count);
    for (_, function) in module.funcs.iter_local_mut() {
        for sequence in sequences(function) {
            count_sequence(function, sequence, count);
        }
    }
    module.emit_wasm()
}

/// Every sequence of a function, however deep.
fn sequences(function: &LocalFunction) -> Vec<InstrSeqId> {
    let mut found = vec![function.entry_block()];
    let mut next = 0;
    while let Some(sequence) = found.get(next) {
        next += 1;
        let instructions = function.block(*sequence).instrs.iter();
        let inner = instructions.flat_map(|(instruction, _)| match instruction {
            Instr::Block(block) => vec![block.seq],
            Instr::Loop(block) => vec![block.seq],
            Instr::IfElse(both) => vec![both.consequent, both.alternative],
            _ => Vec::new(),
        });
        let inner: Vec<_> = inner.collect();
        found.extend(inner);
    }
    found
}

/// Counts each run of a sequence, which goes up to an instruction behind which it may be left.
fn count_sequence(function: &mut LocalFunction, sequence: InstrSeqId, count: GlobalId) {
    let mut sequence = function.builder_mut().instr_seq(sequence);
    let plain = std::mem::take(sequence.instrs_mut());
    let ends = |(instruction, _): &(Instr, InstrLocId)| {
        let leaves = matches!(instruction, Instr::BrIf(_));
        leaves
            || matches!(
                instruction,
                Instr::Block(_) | Instr::Loop(_) | Instr::IfElse(_)
            )
    };
    for run in plain.split_inclusive(ends) {
        let number = i64::try_from(run.len()).expect("few");
        let add: [Instr; 4] = [
            GlobalGet { global: count }.into(),
            Const {
                value: Value::I64(number),
            }
            .into(),
            Binop {
                op: BinaryOp::I64Add,
            }
            .into(),
            GlobalSet { global: count }.into(),
        ];
        let add = add.map(|instruction| (instruction, InstrLocId::default()));
        sequence.instrs_mut().extend(add);
        sequence.instrs_mut().extend_from_slice(run);
    }
}
