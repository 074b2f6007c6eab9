#!/usr/bin/env python3
"""Training steps of GPT-2 124M in PyTorch: the peer of kernels-bench-gpu. Prints tokens per second.

bfloat16 autocast over float32 weights, scaled_dot_product_attention (fused), the head tied, gradient clipping,
fused AdamW, the whole step compiled where this PyTorch can. Usage: torch_gpt2.py [BATCH [SEQ [DEVICE]]]
"""
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

WIDTH, HEADS, LAYERS, VOCAB, CONTEXT = 768, 12, 12, 50257, 1024


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.fc, self.proj = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        batch, seq, _ = x.shape
        q, k, v = (
            part.view(batch, seq, HEADS, WIDTH // HEADS).transpose(1, 2)
            for part in self.qkv(self.ln_1(x)).split(WIDTH, dim=2)
        )
        attention = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attention.transpose(1, 2).reshape(batch, seq, WIDTH))
        return x + self.proj(F.gelu(self.fc(self.ln_2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(VOCAB, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.ln_f = nn.LayerNorm(WIDTH)

    def forward(self, tokens, targets):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            x = block(x)
        logits = self.ln_f(x) @ self.wte.weight.t()
        return F.cross_entropy(logits.view(-1, VOCAB), targets.view(-1))


def main():
    batch = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    seq = int(sys.argv[2]) if len(sys.argv) > 2 else 1024
    device = sys.argv[3] if len(sys.argv) > 3 else "cuda"
    cuda = device == "cuda"
    torch.manual_seed(1)
    model = Gpt2().to(device)
    step_model = torch.compile(model) if cuda and hasattr(torch, "compile") else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=6e-4, betas=(0.9, 0.95), **({"fused": True} if cuda else {}))
    tokens = torch.randint(0, VOCAB, (batch, seq), device=device)
    targets = torch.randint(0, VOCAB, (batch, seq), device=device)

    def step():
        with torch.autocast(device, dtype=torch.bfloat16):
            loss = step_model(tokens, targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    def seconds(steps):
        begin = time.perf_counter()
        for _ in range(steps):
            step()
        if cuda:
            torch.cuda.synchronize()
        return (time.perf_counter() - begin) / steps

    seconds(10 if cuda else 1)
    print(batch * seq / sorted(seconds(10 if cuda else 1) for _ in range(5))[2])


if __name__ == "__main__":
    main()
