#!/bin/bash
#SBATCH -d after:1+5m
srun ./program
